"""The block cache: bounded, private, kept over kills, and never a wrong byte."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import BusyError
from syncd.mount.blocks import cache as module
from syncd.mount.blocks import segment as segments
from syncd.mount.blocks.cache import BlockCache
from tests.isolation import environment

MIB = 1 << 20


def name(text) -> str:
    return sha256(str(text).encode()).hexdigest()


def body(number: int, size: int = 1000) -> bytes:
    return random.Random(number).randbytes(size)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def opened(folder):
    made = []

    def open_(max_bytes=100 * MIB, at=folder):
        made.append(BlockCache(at, max_bytes))
        return made[-1]

    yield open_
    for cache in made:
        cache.close()


def used(folder) -> int:
    return sum(file.stat().st_size for file in (folder / "segments").iterdir())


def open_files() -> set[str]:
    """What this process has open, as the kernel names it."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


def test_what_is_put_is_read_in_any_part(opened):
    cache = opened()
    assert cache.read(name(1), 0, 0, 10) is None
    cache.put_all([(name(1), 0, body(1)), (name(1), 3, body(2)), (name(2), 0, b"")])
    assert cache.read(name(1), 0, 0, 5000) == body(1)
    assert cache.read(name(1), 3, 990, 5) == body(2)[990:995]
    assert cache.read(name(1), 3, 990, 50) == body(2)[990:]
    assert cache.read(name(1), 3, 5000, 50) == b""
    assert cache.read(name(1), 1, 0, 10) is None
    assert cache.has(name(1), 3)
    assert not cache.has(name(1), 4)
    assert cache.blocks(name(1)) == {0, 3}
    cache.forget(name(1))
    assert cache.read(name(1), 0, 0, 10) is None
    assert cache.blocks(name(1)) == set()


def test_it_is_private_and_has_one_owner(folder, opened):
    folder.mkdir(mode=0o755)
    cache = opened()
    cache.put(name(1), 0, body(1))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(f.stat().st_mode & 0o077 == 0 for f in (folder / "segments").iterdir())
    with pytest.raises(BusyError, match="own folder"):
        BlockCache(folder, MIB)
    assert cache.read(name(1), 0, 0, 10) == body(1)[:10]
    cache.close()
    assert opened().read(name(1), 0, 0, 10) == body(1)[:10]


def test_it_keeps_within_its_bound_and_gives_up_what_was_not_used(folder, opened):
    cache = opened(MIB)
    cache.put(name("kept"), 0, body(0, 5000))
    for number in range(1000):
        cache.put(name(number), 0, body(number, 5000))
        assert cache.read(name("kept"), 0, 0, 9) == body(0, 5000)[:9]
        assert cache.bytes <= MIB
    assert used(folder) <= MIB
    held = [n for n in range(1000) if cache.read(name(n), 0, 0, 5000) == body(n, 5000)]
    assert len(held) > 150
    assert min(held[20:]) > 700  # the first ones lie beside the one that was used
    assert cache.read(name(100), 0, 0, 1) is None
    cache.put(name("huge"), 0, body(0, 2 * MIB))  # never fits, and does no harm
    assert cache.read(name(999), 0, 0, 5000) == body(999, 5000)


def test_what_is_pinned_stays(opened):
    cache = opened(MIB)
    cache.put(name("old"), 0, body(0, 5000))
    cache.pin(name("old"))
    cache.pin(name("old"))
    cache.unpin(name("old"))
    for number in range(1000):
        cache.put(name(number), 0, body(number, 5000))
    assert cache.read(name("old"), 0, 0, 5000) == body(0, 5000)
    cache.unpin(name("old"))
    for number in range(1000, 2000):
        cache.put(name(number), 0, body(number, 5000))
    assert cache.read(name("old"), 0, 0, 5000) is None


def test_the_least_recently_used_is_known_over_a_restart(folder, opened):
    cache = opened(MIB)
    for number in range(150):
        cache.put(name(number), 0, body(number, 5000))
    time.sleep(0.02)
    assert cache.read(name(0), 0, 0, 1)
    cache.close()
    again = opened(MIB)
    for number in range(1000, 1100):
        again.put(name(number), 0, body(number, 5000))
    assert again.read(name(0), 0, 0, 5000) == body(0, 5000)
    assert again.read(name(10), 0, 0, 1) is None


def test_a_smaller_bound_than_last_time(folder, opened):
    cache = opened(8 * MIB)
    for number in range(1000):
        cache.put(name(number), 0, body(number, 5000))
    cache.close()
    again = opened(MIB)
    again.put(name("new"), 0, body(1))
    assert used(folder) <= MIB
    assert again.read(name("new"), 0, 0, 5000) == body(1)


CHILD = """
import random, sys
from hashlib import sha256
from pathlib import Path
from syncd.mount.blocks.cache import BlockCache
name = lambda text: sha256(str(text).encode()).hexdigest()
body = lambda number, size: random.Random(number).randbytes(size)
cache = BlockCache(Path(sys.argv[1]), 1 << 20)
number = 0
while True:
    cache.put_all([(name(n), 0, body(n, 3000)) for n in range(number, number + 5)])
    number += 5
    print(number, flush=True)
"""


def test_a_kill_costs_little_and_tears_nothing(folder, opened, tmp_path):
    for round_ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdout=subprocess.PIPE, text=True, env=environment(tmp_path), cwd=os.getcwd(),
        )  # fmt: skip
        wanted = 400 + 35 * round_
        while int(child.stdout.readline()) < wanted:
            pass
        child.send_signal(signal.SIGKILL)
        printed = child.communicate()[0].split()
        last = int(printed[-1]) if printed else wanted + 5
        cache = opened(MIB)
        held = 0
        for number in range(last + 10):
            found = cache.read(name(number), 0, 0, 5000)
            assert found in (None, body(number, 3000))
            held += found is not None
        assert held > 50
        assert used(folder) <= MIB
        cache.close()


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


def test_the_memory_for_what_cannot_be_stored_is_bounded(opened, monkeypatch):
    monkeypatch.setattr(module, "SPARE_BYTES", 5000)
    cache = opened(100)
    for number in range(50):
        cache.put(name(number), 0, body(number))
    found = [n for n in range(50) if cache.read(name(n), 0, 0, 1000) == body(n)]
    assert found == [45, 46, 47, 48, 49]


def test_few_places_in_memory_are_enough(opened, monkeypatch):
    monkeypatch.setattr(module, "KNOWN", 10)
    cache = opened()
    for number in range(100):
        cache.put(name(number), 0, body(number))
    assert all(cache.read(name(n), 0, 0, 1000) == body(n) for n in range(100))
    assert len(cache._known) <= 10


def test_many_threads_at_once(opened):
    cache = opened(MIB)
    wrong = []

    def work(seed):
        chance = random.Random(seed)
        for _ in range(300):
            number = chance.randrange(400)
            found = cache.read(name(number), 0, 0, 5000)
            if found is None:
                cache.put(name(number), 0, body(number, 5000))
            elif found != body(number, 5000):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cache.bytes <= MIB


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["put", "read", "forget", "again", "pin", "unpin"]), st.integers(0, 12)
    ),
    max_size=60,
)


@settings(max_examples=40)
@given(ACTS)
def test_whatever_is_done_only_right_bytes_come_back(tmp_path_factory, acts):
    folder = tmp_path_factory.mktemp("acts")
    cache = BlockCache(folder, 20_000)
    held = set()
    for act, number in acts:
        if act == "put":
            cache.put(name(number), number % 3, body(number, 1500))
            held.add(number)
        elif act == "forget":
            cache.forget(name(number))
            held.discard(number)
        elif act == "again":
            cache.close()
            cache = BlockCache(folder, 20_000)
        elif act in ("pin", "unpin"):
            getattr(cache, act)(name(number))
        found = cache.read(name(number), number % 3, 0, 2000)
        assert found in (None, body(number, 1500))
        assert found is None or number in held
        if act == "put":
            assert found is not None
        assert cache.bytes <= 20_000
    cache.close()


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
