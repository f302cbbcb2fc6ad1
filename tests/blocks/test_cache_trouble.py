"""What befalls a block cache: damage, a full disk, and others at work in the same moment."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from hashlib import sha256

import pytest

from syncd.errors import BusyError
from syncd.mount.blocks import cache as module
from syncd.mount.blocks import segment as segments
from syncd.mount.blocks.cache import BlockCache
from tests.blocks.test_cache import MIB, body, name


def open_files() -> set[str]:
    """What this process has open, as the kernel names it."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


@pytest.mark.parametrize("harm", ["zeros", "cut", "swapped", "gone"])
def test_bytes_that_were_harmed_are_never_served(folder, opened, harm, allow_log):
    allow_log("was damaged")
    cache = opened()
    for number in range(20):
        cache.put(name(number), 0, body(number))
    cache.close()
    (file,) = (folder / "segments").iterdir()
    data = bytearray(file.read_bytes())
    if harm == "zeros":
        data[5000:12000] = bytes(7000)
    elif harm == "cut":
        del data[9500:]
    elif harm == "swapped":
        data[:1000], data[1000:2000] = data[1000:2000], data[:1000]
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(data)
    again = opened()
    found = [again.read(name(number), 0, 0, 5000) for number in range(20)]
    assert all(f in (None, body(n)) for n, f in enumerate(found))
    assert found.count(None) == {"zeros": 7, "cut": 11, "swapped": 2, "gone": 20}[harm]
    for number in range(20):
        again.put(name(number), 0, body(number))
        assert again.read(name(number), 0, 0, 5000) == body(number)


def test_what_is_named_by_its_digest_is_held_against_that(folder, opened, allow_log):
    allow_log("was damaged")
    bodies = [body(number) for number in range(2)]
    names = [sha256(data).hexdigest() for data in bodies]
    cache = opened()
    cache.put_all(
        [(name, 0, data) for name, data in zip(names, bodies, strict=True)], digested=True
    )
    cache.close()
    (file,) = (folder / "segments").iterdir()
    with file.open("r+b") as segment:
        segment.seek(1500)
        segment.write(b"!")
    again = opened()
    assert again.read(names[0], 0, 0, 2000) == bodies[0]
    assert again.read(names[1], 0, 0, 2000) is None


def test_what_is_forgotten_while_it_is_looked_up_stays_forgotten(opened, monkeypatch):
    cache = opened()
    cache.put(name(1), 0, body(1))
    cache.close()
    again = opened()
    real = segments.Segment.read

    def read(self, offset, length):
        data = real(self, offset, length)
        again.forget(name(1))
        return data

    monkeypatch.setattr(segments.Segment, "read", read)
    assert again.read(name(1), 0, 0, 1000) is None
    assert not again.has(name(1), 0)


def test_a_damaged_index_begins_anew(folder, opened, allow_log):
    allow_log("begins anew")
    cache = opened()
    cache.put(name(1), 0, body(1))
    cache.close()
    (folder / "index.db").write_bytes(b"no database at all" * 1000)
    (folder / "segments" / "notes.txt").write_text("somebody's")
    again = opened()
    assert again.read(name(1), 0, 0, 10) is None
    assert again.bytes == 0
    again.put(name(1), 0, body(1))
    assert again.read(name(1), 0, 0, 1000) == body(1)


def test_a_full_disk_is_no_error(opened, monkeypatch, allow_log):
    allow_log("cannot be written to")
    cache = opened()
    cache.put(name(1), 0, body(1))
    full = True
    real = segments.Segment.write

    def write(self, offset, pieces):
        if full:
            real(self, offset, [memoryview(pieces[0])[: len(pieces[0]) // 2]])
            raise OSError(28, "No space left on device")
        real(self, offset, pieces)

    monkeypatch.setattr(segments.Segment, "write", write)
    monkeypatch.setattr(module, "SULK_SECONDS", 60.0)
    before = cache.bytes
    cache.put(name(2), 0, body(2))
    assert cache.read(name(2), 0, 0, 1000) == body(2)  # from memory
    assert cache.read(name(1), 0, 0, 1000) == body(1)
    assert cache.bytes == before
    full = False
    cache.put(name(3), 0, body(3))  # too early: nothing is tried
    assert cache.bytes == before
    cache._sulking = 0.0
    cache.put(name(4), 0, body(4))
    assert cache.bytes == before + 1000
    assert cache.read(name(4), 0, 0, 1000) == body(4)


@pytest.mark.parametrize("pinned", [True, False])
def test_what_was_given_up_while_it_was_written_is_not_kept_open(
    opened, folder, monkeypatch, pinned
):
    cache = opened(MIB)
    begun, go = threading.Event(), threading.Event()
    real = segments.Segment.write

    def write(self, offset, pieces):
        if threading.current_thread() is slow:
            begun.set()
            assert go.wait(10)
        real(self, offset, pieces)

    monkeypatch.setattr(segments.Segment, "write", write)
    slow = threading.Thread(target=cache.put, args=(name("old"), 0, body(0, 5000)))
    slow.start()
    assert begun.wait(10)
    if pinned:
        cache.pin(name("old"))
    for number in range(500):
        cache.put(name(number), 0, body(number, 5000))
    go.set()
    slow.join()
    cache.put(name("next"), 0, body(1))
    assert cache.read(name("old"), 0, 0, 5000) == (body(0, 5000) if pinned else None)
    assert f"{folder / 'segments' / '00000001'} (deleted)" not in open_files()
    assert cache.bytes <= MIB


def test_who_still_writes_keeps_the_folder_from_the_next_owner(opened, folder, monkeypatch):
    cache = opened()
    begun, go = threading.Event(), threading.Event()
    real = segments.Segment.write

    def write(self, offset, pieces):
        begun.set()
        assert go.wait(10)
        real(self, offset, pieces)

    monkeypatch.setattr(segments.Segment, "write", write)
    slow = threading.Thread(target=cache.put, args=(name(1), 0, body(1)))
    slow.start()
    assert begun.wait(10)
    cache.close()
    with pytest.raises(BusyError):
        BlockCache(folder, MIB)
    go.set()
    slow.join()
    again = opened()
    again.put(name(2), 0, body(2))
    assert again.read(name(2), 0, 0, 1000) == body(2)


def test_an_index_in_trouble_is_no_error(opened, allow_log):
    allow_log("is in trouble")
    cache = opened()
    cache.put(name(1), 0, body(1))
    cache.flush()
    cache._index._db.execute("DROP TABLE blocks")
    assert cache.read(name(1), 0, 0, 1000) == body(1)  # known from this run
    assert cache.read(name(2), 0, 0, 1000) is None
    assert cache.blocks(name(1)) == set()
    cache.forget(name(2))
    cache.put(name(3), 0, body(3))
    assert cache.read(name(3), 0, 0, 1000) == body(3)
    assert not cache.has(name(4), 0)


def test_what_cannot_be_dropped_from_the_index_is_not_asked_for_there(
    folder, opened, monkeypatch, expect_log
):
    expect_log("was damaged")
    expect_log("is in trouble")
    cache = opened()
    cache.put_all([(name(1), 0, body(1)), (name(1), 1, body(2))])
    cache.close()
    (file,) = (folder / "segments").iterdir()
    file.write_bytes(bytes(1000) + file.read_bytes()[1000:])
    again = opened()
    with monkeypatch.context() as patched:
        patched.setattr(again._index, "drop", failing)
        assert again.read(name(1), 0, 0, 1000) is None
        assert not again.has(name(1), 0)
        assert again.blocks(name(1)) == set()
    again._sulking = 0.0
    again.put(name(1), 0, body(1))
    assert again.blocks(name(1)) == {0}
    assert again.read(name(1), 0, 0, 1000) == body(1)


def failing(*_):
    raise sqlite3.OperationalError("database or disk is full")
