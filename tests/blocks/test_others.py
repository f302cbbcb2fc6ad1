"""Caches of other mounts beside ours: what they hold is not asked for, nor believed blindly."""

from __future__ import annotations

import os
import random
from hashlib import sha256

import pytest

from syncd.mount.blocks import others as module
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.flights import Flight
from syncd.mount.blocks.others import Others
from syncd.mount.blocks.reader import Reader
from syncd.remotes.memory import Fault
from tests.blocks.pets import Pets, wait_for, whole


@pytest.fixture
def pets(tmp_path):
    made = Pets(tmp_path / "blocks")
    yield made
    made.close()


@pytest.fixture
def second(tmp_path, pets):
    """Another mount of the same dataset, in which `pets` reads from now on."""
    first, pets.reader = pets.reader, None
    own = BlockCache(tmp_path / "blocks-2", 200 * BLOCK)
    pets.reader = Reader(pets.dataset, own)
    yield first
    pets.reader.close()
    own.close()
    pets.reader = first


def read_by_the_first(pets, first, items):
    pets.reader, own = first, pets.reader
    for item in items:
        assert whole(pets, item) == pets.bytes_of(item)
    wait_for(lambda: all(stored(pets.cache, item) for item in items))
    pets.cache.flush()
    pets.reader = own


def stored(cache, item):
    """Whether all of it is: it is answered before it is stored."""
    return len(cache.blocks(item.digest)) == -(-item.size // BLOCK)


def test_what_another_mount_has_is_not_asked_for(pets, second):
    items = [*pets.fill(50), pets.shelf.store("big", random.randbytes(6 * BLOCK + 5))]
    read_by_the_first(pets, second, items)
    before = pets.requests()
    assert all(whole(pets, item) == pets.bytes_of(item) for item in items)
    assert pets.requests() == before
    pets.fault = Fault.UNREACHABLE
    assert all(whole(pets, item) == pets.bytes_of(item) for item in items)


def test_what_is_left_of_a_run_is_one(pets, second):
    item = pets.shelf.store("big", random.randbytes(4 * BLOCK))
    content = pets.bytes_of(item)
    for block in (0, 2):
        pets.cache.put(item.digest, block, content[block * BLOCK :][:BLOCK])
    pets.cache.flush()
    run = [Flight(item, item.digest, block) for block in range(4)]
    pets.reader._fetcher._borrow(run)
    assert [flight.open for flight in run] == [False, True, True, True]
    assert whole(pets, item) == content


def test_damage_and_absence_over_there_are_only_misses(pets, second, tmp_path):
    items = pets.fill(20)
    read_by_the_first(pets, second, items)
    for file in (tmp_path / "blocks" / "segments").iterdir():
        file.write_bytes(bytes(file.stat().st_size))
    assert all(whole(pets, item) == pets.bytes_of(item) for item in items[:10])
    for file in (tmp_path / "blocks" / "segments").iterdir():
        file.unlink()
    assert all(whole(pets, item) == pets.bytes_of(item) for item in items[10:])


def test_bytes_of_another_digest_are_fetched_instead(pets, second):
    item = pets.shelf.store("a.jpg", b"right")
    pets.cache.put_all([(item.digest, 0, b"wrong")])  # with a checksum that fits them
    pets.cache.flush()
    assert whole(pets, item) == b"right"
    assert whole(pets, item) == b"right", "of the own cache"


def test_the_cache_of_another_user_is_left_alone(tmp_path, monkeypatch):
    data = b"a picture"
    cache = BlockCache(tmp_path / "blocks-2", BLOCK)
    cache.put(sha256(data).hexdigest(), 0, data)
    cache.close()
    with monkeypatch.context() as patched:
        other = os.geteuid() + 1
        patched.setattr(os, "geteuid", lambda: other)
        others = Others(tmp_path / "blocks")
        assert others.find(sha256(data).hexdigest(), 0) is None
        others.close()
    others = Others(tmp_path / "blocks")
    assert others.find(sha256(data).hexdigest(), 0) == data
    others.close()


def test_an_index_that_is_none_is_left_alone(tmp_path):
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "index.db").write_bytes(b"no database at all" * 100)
    others = Others(tmp_path / "blocks-2")
    assert others.find("00" * 32, 0) is None
    others.close()
    assert others.find("00" * 32, 0) is None


def test_a_mount_that_comes_later_is_found(tmp_path, monkeypatch):
    data = random.randbytes(1000)
    name = sha256(data).hexdigest()
    others = Others(tmp_path / "blocks")
    assert others.find(name, 0) is None
    cache = BlockCache(tmp_path / "blocks-2", BLOCK)
    cache.put(name, 0, data)
    cache.flush()
    assert others.find(name, 0) is None
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    assert others.find(name, 0) == data
    assert others.find(name, 1) is None
    cache.close()
    assert others.find(name, 0) == data
    others.close()
