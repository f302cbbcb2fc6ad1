"""Dead bytes come back to the disk; living ones never go."""

from __future__ import annotations

import os
import random
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa

from syncd.errors import NotFoundError
from syncd.hub import blobs as blobs_module
from syncd.hub import room, schema, trash
from syncd.hub.care import UNUSED_NS, Care
from syncd.hub.uploads import Uploads
from tests.hub.asking import opened, packed, put

DAY = 86_400 * 10**9


class Clock:
    def __init__(self):
        self.ns = 1_700_000_000 * 10**9

    def now_ns(self):
        return self.ns

    def monotonic(self):
        return self.ns / 1e9


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(blobs_module, "PACK_BYTES", 100_000)
    with opened(tmp_path / "data", clock=clock) as store:
        yield store


@pytest.fixture
def pets(store):
    return store.make_dataset("pets")[0].id


def fill(store, pets, count=100, size=5_000):
    """That many items in packs of twenty; (item, body) by key."""
    there: dict[str, tuple[Any, bytes]] = {}
    for start in range(0, count, 10):
        bodies = {f"{n:03}": random.randbytes(size) for n in range(start, start + 10)}
        results = store.batch(pets, "me", packed([put(k, b) for k, b in bodies.items()]))
        there |= {
            k: (r.item, b) for (k, b), r in zip(bodies.items(), results, strict=True)
        }  # fmt: skip
    return there


def delete(store, pets, items):
    ops = [{"op": "delete", "id": item.id} for item in items]
    assert {r.status for r in store.batch(pets, "me", packed(ops))} == {"stored"}


def read(store, item):
    fd, offset, size = store.open(item.digest)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def used(store):
    return sum(size for _, size in store.blobs.names())


def test_what_is_deleted_comes_back_and_the_rest_stays_readable(store, pets):
    there = fill(store, pets)
    assert used(store) == 500_000
    gone = [item for key, (item, _) in there.items() if int(key) % 3]
    delete(store, pets, gone)
    back = room.reclaim(store)
    left = {key: pair for key, pair in there.items() if int(key) % 3 == 0}
    assert used(store) == len(left) * 5_000
    assert back == 500_000 - used(store)
    assert all(read(store, item) == body for item, body in left.values())
    assert room.reclaim(store) == 0
    with pytest.raises(NotFoundError):
        store.open(gone[0].digest)


def test_content_another_item_or_version_needs_is_kept(store, pets):
    (a, b) = store.batch(pets, "me", packed([put("a", b"cat"), put("b", b"cat")]))
    store.batch(pets, "me", packed([put("b", b"dog", expect=1)]))
    delete(store, pets, [a.item])
    room.reclaim(store)
    assert read(store, b.item) == b"cat"
    delete(store, pets, [b.item])
    room.reclaim(store)
    assert used(store) == 0


def test_content_of_a_trashed_item_is_kept(store, pets):
    (a, b) = store.batch(pets, "me", packed([put("a", b"cat"), put("b", b"cat")]))
    store.batch(pets, "me", packed([{"op": "trash", "id": a.item.id}]))
    delete(store, pets, [b.item])
    room.reclaim(store)
    (back,) = trash.restore(store, pets, "me", [a.item.id])
    assert read(store, back.item) == b"cat"


def test_the_pack_in_use_is_rewritten_into_another_once(store, pets, monkeypatch):
    there = fill(store, pets, 10)
    delete(store, pets, [there[f"{n:03}"][0] for n in range(5)])
    append, moved = store.blobs.append, []

    def counting(bodies):
        moved.extend(bodies)
        return append(bodies)

    monkeypatch.setattr(store.blobs, "append", counting)
    assert room.reclaim(store) == 25_000
    assert len(moved) == 5
    assert dict(store.blobs.names()) == {"packs/00000002": 25_000}
    assert read(store, there["007"][0]) == there["007"][1]
    (more,) = store.batch(pets, "me", packed([put("more", b"goes on")]))
    assert read(store, more.item) == b"goes on"


def test_a_reader_keeps_what_it_opened(store, pets):
    there = fill(store, pets, 10)
    item, body = there["000"]
    fd, offset, size = store.open(item.digest)
    delete(store, pets, [other for other, _ in there.values()])
    room.reclaim(store)
    assert used(store) == 0
    assert os.pread(fd, size, offset) == body
    os.close(fd)


def test_files_of_uploads_go_when_nobody_needs_them(store, pets, tmp_path):
    body = random.randbytes(10_000)
    file = tmp_path / "upload"
    file.write_bytes(body)
    store.adopt(file, sha256(body).digest(), len(body))
    (result,) = store.batch(pets, "me", packed([put("big", body, body=None)]))
    room.reclaim(store)
    assert read(store, result.item) == body
    delete(store, pets, [result.item])
    assert room.reclaim(store) == 10_000
    assert used(store) == 0


def test_leftovers_of_a_crash_are_cleared_away(store, pets):
    there = fill(store, pets, 10)
    file = store.root / "files" / "ab" / ("ab" * 32)
    file.parent.mkdir()
    file.write_bytes(b"renamed, never recorded")
    with (store.root / "packs" / "00000001").open("ab") as pack:
        pack.write(b"x" * 60_000)
    room.reclaim(store)
    assert used(store) == 50_000
    assert all(read(store, item) == body for item, body in there.values())


def test_a_crash_between_moving_and_removing_loses_nothing(store, pets, monkeypatch):
    there = fill(store, pets)
    delete(store, pets, [item for key, (item, _) in there.items() if int(key) % 2])
    kept = [pair for key, pair in there.items() if int(key) % 2 == 0]

    def crash(name):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store.blobs, "drop", crash)
        with pytest.raises(KeyboardInterrupt):
            room.reclaim(store)
    assert all(read(store, item) == body for item, body in kept)
    room.reclaim(store)
    assert all(read(store, item) == body for item, body in kept)
    assert used(store) == 50 * 5_000


def test_nothing_is_removed_while_a_backup_reads(store, pets):
    there = fill(store, pets, 10)
    delete(store, pets, [item for item, _ in there.values()])
    with room.kept(store.data):
        assert room.reclaim(store) == 0
        assert used(store) == 50_000
    assert room.reclaim(store) == 50_000


def test_a_damaged_pack_is_left_as_it_is_and_the_others_are_not(store, pets, expect_log):
    expect_log(r"packs/00000001 cannot be read .* shorter than the catalogue says")
    there = fill(store, pets, 40)
    os.truncate(store.root / "packs" / "00000001", 80_000)
    delete(store, pets, [item for key, (item, _) in there.items() if int(key) % 2])
    room.reclaim(store)
    assert used(store) == 80_000 + 50_000
    kept = [pair for key, pair in there.items() if int(key) % 2 == 0 and not 16 <= int(key) < 20]
    assert all(read(store, item) == body for item, body in kept)


def test_trash_and_old_versions_are_kept_for_their_time(store, pets, clock):
    (a, b) = (r.item for r in store.batch(pets, "me", packed([put("a", b"1"), put("b", b"22")])))
    ops = [{"op": "trash", "id": a.id}, put("b", b"333", expect=1)]
    store.batch(pets, "me", packed(ops))
    clock.ns += 29 * DAY
    assert trash.expire(store, 30) == (0, 0)
    clock.ns += 2 * DAY
    assert trash.expire(store, 30) == (1, 3)
    assert store.catalogue.item(a.id).state == "purged"
    assert store.catalogue.item(a.id).by == "me", "who trashed it, and not who emptied the trash"
    with store.catalogue.read() as tx:
        assert not tx.execute(sa.select(schema.versions)).all()
    assert store.catalogue.dataset(id=pets).items == 1
    assert read(store, store.catalogue.item(b.id)) == b"333"


def test_trash_is_emptied_in_many_transactions(store, pets, monkeypatch):
    monkeypatch.setattr(trash, "CHUNK", 7)
    there = fill(store, pets, 20)
    store.batch(pets, "me", packed([{"op": "trash", "id": item.id} for item, _ in there.values()]))
    assert trash.empty(store, pets, "me") == (20, 100_000)
    assert store.catalogue.page(pets, trashed=True).rows == []


def test_care_does_all_of_it_and_stops(store, pets, clock, tmp_path):
    uploads = Uploads(tmp_path / "uploads", store)
    care = Care(store, uploads, retention_days=30)
    try:
        file = tmp_path / "upload"
        file.write_bytes(b"never put under a key")
        store.adopt(file, sha256(b"never put under a key").digest(), 21)
        care.tend()
        assert used(store) == 21
        clock.ns += UNUSED_NS + DAY
        care.tend()
        assert used(store) == 0
    finally:
        care.stop()


def test_care_that_is_stopped_begins_no_further_step(store, tmp_path, monkeypatch):
    care = Care(store, Uploads(tmp_path / "uploads", store), retention_days=30)
    begun = []

    def expire(*_):
        begun.append("expire")
        care.stop()

    monkeypatch.setattr(trash, "expire", expire)
    monkeypatch.setattr(room, "drop_unused", lambda *_: begun.append("drop_unused"))
    care.tend()
    assert begun == ["expire"]
