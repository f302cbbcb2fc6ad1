"""What grows stays within its limit: logs, the state file, its journal; and status says so."""

from __future__ import annotations

import os

import pytest

from syncd.client import Client
from syncd.config.places import places
from syncd.daemon import shorten
from syncd.daemon.room import around, tidy
from syncd.engine.opening import Target, opened
from syncd.engine.options import Options
from syncd.model import Receipt
from syncd.state import store
from syncd.state.folder import FILE
from syncd.state.history import DAY_NS
from syncd.state.report import deeds_of, status
from syncd.state.store import State


def test_a_log_keeps_its_end_and_whoever_appends_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(shorten, "LOG_BYTES", 1000)
    file = tmp_path / "hub.log"
    with file.open("ab", buffering=0) as appending:
        for number in range(100):
            appending.write(f"line {number:04} of the log\n".encode())
        shorten.shorten_logs(tmp_path)
        kept = file.read_text().splitlines()
        assert kept[-1] == "line 0099 of the log"
        assert kept[0].startswith("line ")
        assert 400 < file.stat().st_size <= 500
        appending.write(b"one more\n")
    assert file.read_text().splitlines() == [*kept, "one more"]
    shorten.shorten_logs(tmp_path)
    assert file.read_text().splitlines() == [*kept, "one more"]


@pytest.fixture
def state(tmp_path):
    made = State(tmp_path)
    yield made
    made.close()


def test_a_state_file_gives_back_what_it_no_longer_needs(state, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SLACK_BYTES", 100_000)
    for number in range(20_000):
        state.history.note(DAY_NS, f"some/longer/path/{number}.jpg", "stored", "new here")
    state.commit()
    assert not state.shrink(), "nothing is free"
    while state.history.drop(1000 * DAY_NS):
        state.commit()
    state.commit()
    state._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = (tmp_path / FILE).stat().st_size
    assert state.shrink()
    state._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / FILE).stat().st_size < before / 4
    assert not state.shrink()
    state.meta.put(name="still usable")
    state.commit()


def test_the_journal_is_cut_back(state, tmp_path, monkeypatch):
    state._sql.execute("PRAGMA journal_size_limit=100000")
    assert store.JOURNAL_BYTES == 64 << 20
    for _ in range(3):
        for number in range(20_000):
            state.history.note(DAY_NS, f"{number}.jpg", "stored", "x" * 50)
        state.commit()
    state._sql.execute("PRAGMA wal_checkpoint(RESTART)")
    state.meta.put(name="the next write begins it anew")
    state.commit()
    assert (tmp_path / f"{FILE}-wal").stat().st_size <= 200_000


def test_what_lies_around_is_told_with_its_limit(home):
    where = places()
    (where.hub_data / "uploads").mkdir(parents=True)
    (where.hub_data / "uploads" / "half").write_bytes(os.urandom(1000))
    where.state.mkdir(parents=True, exist_ok=True)
    (where.state / "hub.log").write_bytes(b"x" * 10)
    (where.state / "mount.log").write_bytes(b"x" * 20)
    for folder in ("blocks", "blocks-2", "mounts/one"):
        (where.cache / folder).mkdir(parents=True)
        (where.cache / folder / "file").write_bytes(b"x" * 30)
    (where.hub_data / "thumbnails").mkdir()
    (where.hub_data / "thumbnails" / "a").write_bytes(b"x" * 40)
    found = {room.what: room for room in around(where)}
    assert found["hub.log"].bytes == 10
    assert found["hub.log"].limit == "at most 8 MiB"
    assert (found["hub uploads"].bytes, found["hub uploads"].limit) == (
        1000, "unfinished ones go after 7 days",
    )  # fmt: skip
    assert "30 days" in found["hub"].limit
    assert (found["mount.log"].bytes, found["mount.log"].limit) == (20, "at most 8 MiB")
    assert found["mount blocks"].bytes == found["mount blocks-2"].bytes == 30
    assert found["mount blocks"].limit == "cache_size: 10G"
    assert found["mount indexes"].bytes == 30
    assert (found["hub thumbnails"].bytes, found["hub thumbnails"].limit) == (40, "at most 512 MiB")


def test_a_mirror_drops_what_is_older_than_it_was_told_to_keep(hub, home, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SLACK_BYTES", 100_000)
    target = Target(root=tmp_path, remote="x", dataset="tidy", options=Options())
    with (
        Client(hub.url, token=hub.token) as client,
        opened(target, client.remote, places().mirrors, removes=True) as mirror,
    ):
        now = mirror.clock.now_ns()
        for number in range(10_000):
            mirror.state.history.note(now - 8 * DAY_NS, f"{number}.jpg", "stored", "new here")
        mirror.state.history.note(now - 6 * DAY_NS, "young.jpg", "stored", "new here")
        gone = Receipt(key="a.jpg", id="i1", version=1, digest="a" * 64)
        mirror.state.overlay.absent(gone, now)
        mirror.state.commit()
        tidy(mirror, 7)
        assert mirror.state.overlay.empty(), "nobody has that receipt any more"
        folder = target.folder(places().mirrors)
        assert [deed.path for deed in deeds_of(folder, "", 0, 10)] == ["young.jpg"]
        told = status(folder).space
        assert (told.lines, told.days) == (1, 7)
        assert told.state < 500_000
