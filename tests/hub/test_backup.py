"""A backup holds everything, verified, while the hub works; a restore brings it back."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from syncd.errors import BusyError, NotFoundError, StateError, UsageError
from syncd.hub import annotating, room, trash
from syncd.hub import backup as backup_module
from syncd.hub import store as store_module
from syncd.hub.backup import MARK, backup, restore, restore_open
from syncd.hub.catalogue import Catalogue
from syncd.hub.store import RestoredError
from tests.hub.asking import asking, opened, packed, put


def make(data, count=20):
    """A store with some items in it; their bodies by key."""
    bodies = {f"d/{n:02}.bin": os.urandom(1000 + n) for n in range(count)}
    with opened(data) as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put(k, b) for k, b in bodies.items()]))
    return bodies


def contents(data):
    with opened(data) as store:
        pets = store.catalogue.dataset(name="pets").id
        found = {}
        for row in store.catalogue.page(pets).rows:
            fd, offset, size = store.open(row.digest)
            found[f"{row.folder}/{row.name}"] = os.pread(fd, size, offset)
            os.close(fd)
        return found


def words(data):
    with opened(data) as store:
        with store.catalogue.read() as tx:
            seq = tx.exec_driver_sql("SELECT seq FROM counters").scalar_one()
        return store.catalogue.words, seq


def test_a_backup_comes_back_byte_by_byte_in_another_place(tmp_path):
    bodies = make(tmp_path / "data")
    report = backup(tmp_path / "data", tmp_path / "saved")
    assert (report.blobs, report.bytes) == (20, sum(map(len, bodies.values())))
    restore(tmp_path / "new", tmp_path / "saved")
    assert contents(tmp_path / "new") == bodies
    old, new = words(tmp_path / "data"), words(tmp_path / "new")
    assert new[0]["hub"] == old[0]["hub"]
    assert new[0]["generation"] != old[0]["generation"]


def test_a_restore_keeps_what_was_there_and_the_feed_goes_only_forward(tmp_path):
    data = tmp_path / "data"
    bodies = make(data)
    backup(data, tmp_path / "saved")
    with opened(data) as store:
        pets = store.catalogue.dataset(name="pets").id
        for n in range(5):
            store.batch(pets, "me", packed([put(f"later/{n}", b"%d" % n)]))
    later, (_, seq) = contents(data), words(data)
    kept = restore(data, tmp_path / "saved")
    assert contents(data) == bodies
    assert words(data)[1] > seq
    (data / "current").write_text(kept.name)
    assert contents(data) == later


def test_a_backup_never_goes_over_anything(tmp_path):
    make(tmp_path / "data")
    (tmp_path / "saved").mkdir()
    with pytest.raises(UsageError):
        backup(tmp_path / "data", tmp_path / "saved")
    with pytest.raises(NotFoundError):
        backup(tmp_path / "data", tmp_path / "no" / "where")
    with pytest.raises(NotFoundError):
        backup(tmp_path / "nothing", tmp_path / "other")
    assert list((tmp_path / "saved").iterdir()) == []


def test_a_second_backup_to_one_place_leaves_the_first_alone(tmp_path, monkeypatch):
    make(tmp_path / "data")
    copy = backup_module._copy
    refused = []

    def copied(*places):
        with pytest.raises(BusyError) as told:
            backup(tmp_path / "data", tmp_path / "saved")
        refused.append(str(told.value))
        return copy(*places)

    with monkeypatch.context() as patched:
        patched.setattr(backup_module, "_copy", copied)
        assert backup(tmp_path / "data", tmp_path / "saved").blobs == 20
    assert refused == [f"{tmp_path / 'saved'}: another backup is being written there"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "saved"]
    restore(tmp_path / "new", tmp_path / "saved")


def test_a_backup_that_was_killed_is_written_over(tmp_path):
    make(tmp_path / "data")
    (tmp_path / "saved.part").mkdir()
    (tmp_path / "saved.part" / "catalogue.db").touch()
    (tmp_path / "saved.part.lock").touch()
    assert backup(tmp_path / "data", tmp_path / "saved").blobs == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "saved"]


def damage(file, at=10):
    with file.open("r+b") as out:
        out.seek(at)
        old = out.read(1)
        out.seek(at)
        out.write(bytes([old[0] ^ 1]))


def test_a_damaged_store_is_not_backed_up_and_the_items_are_named(tmp_path):
    make(tmp_path / "data")
    damage(tmp_path / "data" / "stores" / "1" / "packs" / "00000001")
    with pytest.raises(StateError, match=r"1 blobs are damaged.*d/00\.bin"):
        backup(tmp_path / "data", tmp_path / "saved")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda saved: damage(saved / "packs" / "00000001"),
        lambda saved: (saved / "packs" / "00000001").unlink(),
        lambda saved: os.truncate(saved / "packs" / "00000001", 500),
        lambda saved: damage(saved / "catalogue.db", 40),
        lambda saved: os.truncate(saved / "catalogue.db", 5000),
        lambda saved: (saved / "catalogue.db").unlink(),
        lambda saved: (saved / MARK).write_text("{}"),
        lambda saved: (saved / MARK).write_text("["),
        lambda saved: (saved / MARK).unlink(),
    ],
    ids=["bit", "pack", "short", "bitdb", "shortdb", "nodb", "mark", "json", "nomark"],
)  # fmt: skip
def test_a_damaged_backup_changes_nothing(tmp_path, harm):
    data = tmp_path / "data"
    bodies = make(data)
    backup(data, tmp_path / "saved")
    before = words(data)
    harm(tmp_path / "saved")
    with pytest.raises((StateError, NotFoundError)):
        restore(data, tmp_path / "saved")
    assert contents(data) == bodies
    assert words(data) == before
    assert [path.name for path in (data / "stores").iterdir()] == ["1"]


def test_a_backup_of_a_newer_program_is_refused_before_anything_is_copied(tmp_path, monkeypatch):
    data = tmp_path / "data"
    make(data)
    backup(data, tmp_path / "saved")
    mark = tmp_path / "saved" / MARK
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"schema": 99}))
    monkeypatch.setattr(backup_module, "_copy", lambda *_: pytest.fail("it was copied"))
    with pytest.raises(StateError, match=r"of version 99.*use the program that wrote it"):
        restore(data, tmp_path / "saved")


@pytest.mark.parametrize("step", ["_prepare", "renew"])
def test_a_restore_that_cannot_be_opened_leaves_no_copy(tmp_path, monkeypatch, step):
    data = tmp_path / "data"
    bodies = make(data)
    backup(data, tmp_path / "saved")
    real = getattr(Catalogue, step)

    def fail(catalogue, what):
        if step == "_prepare" and what.parent.name == "1":
            return real(catalogue, what)
        raise StateError("it cannot be opened")

    with monkeypatch.context() as patched:
        patched.setattr(Catalogue, step, fail)
        with pytest.raises(StateError, match="cannot be opened"):
            restore(data, tmp_path / "saved")
    assert [path.name for path in (data / "stores").iterdir()] == ["1"]
    assert contents(data) == bodies


def test_a_restore_that_became_valid_is_not_removed_whatever_fails_then(tmp_path, monkeypatch):
    data = tmp_path / "data"
    bodies = make(data)
    backup(data, tmp_path / "saved")

    def fail(_):
        raise OSError("the disk said no")

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "sync", fail)
        with pytest.raises(OSError, match="said no"):
            restore(data, tmp_path / "saved")
    assert (data / "current").read_text() != "1\n"
    assert contents(data) == bodies


def test_cve_2026_71313_a_backup_cannot_name_a_place_outside(tmp_path):
    make(tmp_path / "data", 1)
    backup(tmp_path / "data", tmp_path / "saved")
    (tmp_path / "secret").write_bytes(b"secret")
    with closing(sqlite3.connect(tmp_path / "saved" / "catalogue.db")) as catalogue, catalogue:
        catalogue.execute("UPDATE blobs SET place = 'packs/../../secret'")
    mark = tmp_path / "saved" / MARK
    forged = sha256((tmp_path / "saved" / "catalogue.db").read_bytes()).hexdigest()
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"catalogue": forged}))
    with pytest.raises(StateError, match="place that cannot be"):
        restore(tmp_path / "data", tmp_path / "saved")


def test_a_half_made_copy_is_cleared_away_at_the_next_start(tmp_path):
    bodies = make(tmp_path / "data")
    part = tmp_path / "data" / "stores" / "2.part"
    shutil.copytree(tmp_path / "data" / "stores" / "1", part)
    assert contents(tmp_path / "data") == bodies
    assert not part.exists()


def test_a_running_hub_is_backed_up_while_it_stores_and_deletes(start_hub, tmp_path):
    hub = start_hub("--min-free", "0")
    stop = threading.Event()
    rounds: list[int] = []

    def churn():
        with asking(hub) as pets:
            while not stop.is_set():
                n = len(rounds)
                ops = [put(f"{n}/{k}", os.urandom(3000)) for k in range(50)]
                ids = [r["item"]["id"] for r in pets.batch(*ops)]
                pets.batch(*({"op": "trash", "id": id} for id in ids[:25]))
                pets.post("trash/empty")
                rounds.append(n)

    thread = threading.Thread(target=churn)
    with asking(hub):
        thread.start()  # the dataset is there
    try:
        backup(hub.data, tmp_path / "saved")
        while len(rounds) < 4 and thread.is_alive():
            shutil.rmtree(tmp_path / "saved")
            backup(hub.data, tmp_path / "saved")
    finally:
        stop.set()
        thread.join()
    restore(tmp_path / "new", tmp_path / "saved")
    with opened(tmp_path / "new") as store:
        pets = store.catalogue.dataset(name="pets")
        assert pets.items == len(store.catalogue.page(pets.id, limit=100_000).rows)
        assert room.reclaim(store) >= 0


def test_a_running_hub_is_restored_under_its_clients(start_hub, tmp_path):
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        kept = pets.stored("kept", b"cat")
        backup(hub.data, tmp_path / "saved")
        lost = pets.stored("lost", b"dog")
        health = pets.http.get("/health").json()
        cursor = pets.get("changes")["cursor"]
        with pytest.raises(BusyError, match=str(hub.pid)):
            restore(hub.data, tmp_path / "saved")
        answer = pets.http.post("/v1/restore", json={"source": str(tmp_path / "saved")})
        assert answer.status_code == 200, answer.text
        now = pets.http.get("/health").json()
        assert now["generation"] == answer.json()["generation"] != health["generation"]
        assert now["hub"] == health["hub"]
        assert [i["id"] for i in pets.get("items")["items"]] == [kept["id"]]
        assert pets.content(kept).content == b"cat"
        assert pets.content(lost).status_code == 404
        pets.stored("new", b"mouse")
        assert [i["name"] for i in pets.get("changes", after=cursor)["items"]] == ["new"]
        missing = pets.http.post("/v1/restore", json={"source": str(tmp_path / "none")})
        assert missing.status_code == 404
    hub.stop()
    again = hub.again("--min-free", "0")
    try:
        with asking(again) as pets:
            assert {i["name"] for i in pets.get("items")["items"]} == {"kept", "new"}
    finally:
        again.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda store, pets, meant: store.batch(pets, "me", packed([put("a", b"cat")]), meant),
        lambda store, pets, meant: trash.restore(store, pets, "me", ["0" * 32], meant),
        lambda store, pets, meant: trash.empty(store, pets, "me", meant=meant),
        lambda store, pets, meant: annotating.annotate(store, pets, "me", [], meant),
    ],
    ids=["batch", "restore", "empty", "annotate"],
)
def test_a_change_meant_for_what_was_there_before_a_restore_is_not_made(tmp_path, change):
    make(tmp_path / "data")
    backup(tmp_path / "data", tmp_path / "saved")
    with opened(tmp_path / "data") as store:
        pets = store.catalogue.dataset(name="pets").id
        meant = store.catalogue
        change(store, pets, meant)
        restore_open(store, tmp_path / "saved")
        with pytest.raises(RestoredError):
            change(store, pets, meant)
        assert store.catalogue.dataset(name="pets").items == 20


@pytest.mark.parametrize(
    "change",
    [
        lambda store, pets: store.batch(pets, "me", packed([put("a", b"cat")])),
        lambda store, pets: annotating.annotate(store, pets, "me", []),
    ],
    ids=["batch", "annotate"],
)
def test_a_change_that_waits_while_a_store_is_exchanged_is_not_made(tmp_path, monkeypatch, change):
    make(tmp_path / "data")
    backup(tmp_path / "data", tmp_path / "saved")
    with opened(tmp_path / "data") as store:
        pets = store.catalogue.dataset(name="pets").id
        check_room = store.check_room

        def exchanged(wanted):
            monkeypatch.undo()
            restore_open(store, tmp_path / "saved")
            check_room(wanted)

        monkeypatch.setattr(store, "check_room", exchanged)
        with pytest.raises(RestoredError):
            change(store, pets)


@pytest.mark.parametrize("path", ["batch", "annotations"])
def test_a_change_that_came_in_before_a_restore_is_to_be_asked_for_again(start_hub, tmp_path, path):
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        kept = pets.stored("kept", b"cat")
        backup(hub.data, tmp_path / "saved")
        body = packed([{"op": "trash", "id": kept["id"]}]) if path == "batch" else b'{"sets":[]}'
        line = http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=20)
        line.putrequest("POST", f"{pets.base}/{path}")
        for header in [*hub.headers.items(), ("content-length", str(len(body)))]:
            line.putheader(*header)
        line.putheader("expect", "100-continue")
        line.endheaders()
        # The hub says this when it begins to read the body: the change has come in.
        assert line.sock.recv(1000).startswith(b"HTTP/1.1 100")
        pets.http.post("/v1/restore", json={"source": str(tmp_path / "saved")}).raise_for_status()
        line.send(body)
        answer = line.getresponse()
        assert (answer.status, "restored" in answer.read().decode()) == (503, True)
        line.close()
        assert [item["id"] for item in pets.get("items")["items"]] == [kept["id"]]
