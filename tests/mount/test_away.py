"""A mount that begins while its hub is away: what was shown before is there, and follows later."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from syncd.mount import point as points
from syncd.mount.blocks.index import Index as Blocks
from syncd.mount.index import Index
from syncd.mount.remembered import binding, remember, remembered
from syncd.mount.sidecars import Mode
from syncd.remotes.base import DatasetInfo
from tests.e2e.program import Program
from tests.e2e.test_embedded import hubs
from tests.mount.mounted import Signs, content, serve, signs, until, whole
from tests.mount.test_faults import readable, syncd
from tests.running import RunningHub

FILES = {f"a/{n}.jpg": content(n, 5000) for n in range(5)} | {"b.jpg": content(99, 5000)}


@pytest.fixture
def own(start_hub: Callable[..., RunningHub], tmp_path: Path) -> Iterator[tuple[RunningHub, Signs]]:
    """A hub of the test's own, with a dataset."""
    hub = start_hub()
    with signs(hub, "signs", tmp_path / "uploads") as dataset:
        dataset.put(FILES)
        yield hub, dataset


def test_hub_and_mount_are_killed_and_the_mount_comes_back_first(own, mounts):
    hub, dataset = own
    first = mounts(hub, "signs")
    assert whole(first / "a/1.jpg") == FILES["a/1.jpg"]
    until(lambda: kept(first.log_file.parent, FILES["a/1.jpg"]))
    dataset.put({"c.jpg": b"before"})
    until(lambda: (first / "c.jpg").exists())
    first.kill()
    dataset.put({"a/1.jpg": content(7, 5000), "d.jpg": b"missed"})
    dataset.trash("a/2.jpg")
    hub.kill()

    second = mounts(hub, "signs")
    assert "as it was before: the remote is away" in second.log
    assert sorted(os.listdir(second.point)) == ["a", "b.jpg", "c.jpg"]
    assert sorted(os.listdir(second / "a")) == [f"{n}.jpg" for n in range(5)]
    assert whole(second / "a/1.jpg") == FILES["a/1.jpg"]
    began = time.monotonic()
    with pytest.raises(OSError, match="Input/output error"):
        whole(second / "b.jpg")
    assert time.monotonic() - began < 2.0

    held = os.open(second / "a/1.jpg", os.O_RDONLY)
    back = hub.again()
    try:
        until(lambda: (second / "d.jpg").exists(), 20.0)
        until(lambda: not (second / "a/2.jpg").exists())
        until(lambda: readable(second / "a/1.jpg"))  # nothing is asked for during a pause
        assert whole(second / "a/1.jpg") == content(7, 5000)
        assert whole(held) == FILES["a/1.jpg"]
        until(lambda: readable(second / "b.jpg"))
        assert whole(second / "b.jpg") == FILES["b.jpg"]
    finally:
        os.close(held)
        back.stop()
    second.stop()


def kept(home: Path, body: bytes) -> bool:
    """Whether a mount's cache has written down where it holds these bytes."""
    with closing(Blocks.read_only(home / "cache/syncd/blocks/index.db")) as index:
        return index.find(sha256(body).digest(), 0) is not None


def test_a_service_that_begins_before_its_hub_has_its_mount(own, mounts, tmp_path):
    hub, dataset = own
    first = mounts(hub, "signs")
    assert whole(first / "b.jpg") == FILES["b.jpg"]
    first.kill()
    dataset.put({"c.jpg": b"missed"})
    hub.kill()
    (tmp_path / "token").write_text(hub.token)
    config = tmp_path / "syncd.toml"
    config.write_text(f"""
        [remotes.main]
        url = "{hub.url}"
        token = {{ file = "{tmp_path}/token" }}
        [[mount]]
        remote = "main"
        dataset = "signs"
        path = "{first.point}"
    """)
    words = ["-m", "syncd", "run", "--config", str(config)]
    service = serve(words, tmp_path / "home", first.point, {})
    try:
        assert "as it was before: the remote is away" in service.log
        assert len(os.listdir(service / "a")) == 5
        back = hub.again()
        try:
            until(lambda: (service / "c.jpg").exists(), 20.0)
            assert whole(service / "c.jpg") == b"missed"
        finally:
            back.stop()
        service.stop()
    finally:
        service.clear()


def test_a_frozen_hub_does_not_hinder_a_start(own, mounts):
    hub, _ = own
    mounts(hub, "signs").stop()
    hub.freeze()
    began = time.monotonic()
    mounted = mounts(hub, "signs")
    assert time.monotonic() - began < 20.0, "a request to the hub may take 30 s"
    assert len(os.listdir(mounted / "a")) == 5
    hub.thaw()
    until(lambda: whole(mounted / "b.jpg") == FILES["b.jpg"])
    mounted.stop()


def test_every_dataset_that_was_shown_is_shown_and_the_others_come_later(own, mounts, tmp_path):
    hub, _ = own
    mounts(hub, "--all").stop()
    with signs(hub, "later", tmp_path / "more") as later:
        later.put({"x.jpg": b"x"})
    hub.kill()
    mounted = mounts(hub, "--all")
    assert os.listdir(mounted.point) == ["signs"]
    assert len(os.listdir(mounted / "signs/a")) == 5
    back = hub.again()
    try:
        until(lambda: (mounted / "later/x.jpg").exists(), 20.0)
        assert whole(mounted / "later/x.jpg") == b"x"
        assert whole(mounted / "signs/b.jpg") == FILES["b.jpg"]
    finally:
        back.stop()
    mounted.stop()


def test_what_was_never_shown_needs_the_hub(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    hub.kill()
    place = tmp_path / "other"
    mounted.kill()
    for words in (("others", str(place)), ("signs", "--sidecars", "all", str(place))):
        said = syncd(mounted, "mount", "--remote", hub.url, *words)
        assert (said.returncode, "does not answer" in said.stderr) == (5, True), said
        assert points.mounted(place) is None
    try:
        said = syncd(mounted, "mount", "--remote", hub.url, "signs", str(place))
        assert said.returncode == 0, said
        assert "the remote is away" in said.stderr
        assert f"mounted on {place}" in said.stderr
        assert len(os.listdir(place / "a")) == 5
    finally:
        assert syncd(mounted, "umount", str(place)).returncode == 0


def test_an_embedded_hub_that_cannot_be_started_is_away_as_well(fuse, home, tmp_path, tree):
    alone = Program(home)
    point, data = tmp_path / "mnt", home / "data/syncd/hub"
    words = ["-m", "syncd", "mount", "signs", str(point), "--foreground"]
    alone("push", tree({"a/b.jpg": b"picture"}), "--to", "signs")
    serve(words, home, point, {}).stop()
    for hub in hubs(home):
        os.kill(hub, signal.SIGKILL)
    until(lambda: not hubs(home))
    data.rename(home / "its disk")
    data.write_bytes(b"no folder")
    said = alone("mount", "others", tmp_path / "other", code=1)
    assert "the embedded hub did not start" in said.err
    mounted = serve(words, home, point, {})
    try:
        assert "the hub is not there, and not started" in mounted.log
        assert os.listdir(mounted.point) == ["a"]
        data.unlink()
        (home / "its disk").rename(data)
        until(lambda: readable(mounted / "a/b.jpg"), 30.0)
        assert whole(mounted / "a/b.jpg") == b"picture"
        mounted.stop()
    finally:
        mounted.clear()


def test_a_hub_that_refuses_is_not_one_that_is_away(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    mounted.stop()
    token = tmp_path / "token"
    token.write_text("wrong")
    options = ("--remote", hub.url, "--token-file", str(token))
    said = syncd(mounted, "mount", *options, "signs", str(tmp_path / "other"))
    assert said.returncode == 7, said


def test_notes_of_other_remotes_and_of_unfinished_or_damaged_indexes_do_not_count(tmp_path):
    def index(folder: str, remote: str, info: DatasetInfo, *, filled: int) -> None:
        made = Index(tmp_path / folder / "index.db", binding(remote, info.id, Mode.ALL))
        made.begin()
        if filled:
            made.end()
            made.put_word("filled", str(filled))
        remember(made, info)
        made.close()

    old, new = DatasetInfo(id="1", name="signs", items=3), DatasetInfo(id="2", name="signs")
    roads = DatasetInfo(id="3", name="ro'ads %?#")
    index("b ?#%41", "hub", old, filled=5)
    index("a", "hub", new, filled=7)
    index("c", "hub", roads, filled=1)
    index("d", "hub", DatasetInfo(id="4", name="torn"), filled=0)
    index("e", "http://other", DatasetInfo(id="5", name="other"), filled=1)
    index("f", "hub", DatasetInfo(id="6", name="bad"), filled=1)
    (tmp_path / "f/index.db").write_bytes(b"bad" * 1000)
    (tmp_path / "g").mkdir()
    index("h", "hub", DatasetInfo(id="8", name="of another version"), filled=1)
    with closing(sqlite3.connect(tmp_path / "h/index.db")) as db, db:
        note = json.dumps({"id": "8", "name": "of another version", "colour": "red"})
        db.execute("UPDATE meta SET value = ? WHERE name = 'dataset'", (note,))
    found = remembered(tmp_path, "hub", Mode.ALL)
    assert sorted(found, key=lambda info: info.id) == [new, roads]
    assert remembered(tmp_path, "hub", Mode.NONE) == []
    assert remembered(tmp_path / "none", "hub", Mode.ALL) == []
