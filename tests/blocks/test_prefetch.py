"""Fetching ahead in the background: everything, as far as it fits, and an end at any time."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncd.errors import SyncdError, TransientError
from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK
from syncd.mount.blocks.prefetch import PREFETCH_FILES
from syncd.remotes.memory import Fault
from tests.blocks.pets import FILES, Pets, wait_for, whole


def test_prefetch_brings_everything_and_then_nobody_asks(pets):
    items = [*pets.fill(), pets.shelf.store("big", random.randbytes(6 * BLOCK + 5))]
    pets.reader.prefetch(items)
    wait_for(lambda: all(pets.cache.has(i.digest or "", 0) for i in items))
    wait_for(lambda: pets.cache.blocks(items[-1].digest or "") == set(range(7)))
    before = pets.requests()
    assert all(whole(pets, item) == pets.bytes_of(item) for item in items)
    assert pets.requests() == before


def test_prefetch_waits_for_a_remote_that_is_away(pets):
    pets.reader._pause.seconds = 0.1
    items = pets.fill(200)
    pets.fault = Fault.UNREACHABLE
    began = time.monotonic()
    pets.reader.prefetch(items)
    time.sleep(0.3)
    requests = pets.requests()
    pauses = (time.monotonic() - began) / 0.1
    assert requests < 10 * (1 + pauses), "about five to a pause; without one it is 35"
    pets.fault = None
    wait_for(lambda: sum(pets.cache.has(i.digest or "", 0) for i in items) > 190)


@pytest.mark.parametrize("pause", [0.1, 0.0], ids=["seen", "over before anybody looks"])
def test_what_fails_after_all_was_asked_for_is_asked_for_again(bulk, pause):
    bulk.reader._pause.seconds = pause
    items = bulk.fill(2 * PREFETCH_FILES)
    asked_for_all = threading.Event()
    faults = [Fault.UNREACHABLE] * 4  # each of the two requests is tried twice

    def trouble(request):
        assert asked_for_all.wait(10)
        return faults.pop() if faults else None

    bulk.remote.trouble = trouble
    bulk.reader.prefetch(items)
    wait_for(lambda: not bulk.reader._prefetch.busy)
    asked_for_all.set()
    wait_for(lambda: all(bulk.cache.has(item.digest or "", 0) for item in items))


def test_prefetch_stops_where_the_cache_ends(tmp_path):
    pets = Pets(tmp_path / "cache", max_bytes=200_000)
    items = pets.fill(FILES)
    pets.reader.prefetch(items)
    wait_for(lambda: not pets.reader._prefetch.busy and pets.reader._flights.idle(landed=True))
    assert all(pets.cache.has(item.digest or "", 0) for item in items[:20])
    pets.close()


def test_the_end_wakes_who_waits_and_leaves_no_thread(tmp_path):
    pets = Pets(tmp_path / "cache")
    items = pets.fill(50)
    gate = threading.Event()
    pets.remote.trouble = lambda request: Fault.BUSY if not gate.wait(5) else None
    pets.reader.prefetch(items)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(pets.reader.read, item, 0, 10) for item in items[:8]]
        time.sleep(0.1)
        threading.Timer(0.1, gate.set).start()
        pets.close()
        for one in waiting:
            assert isinstance(one.exception() or b"", TransientError | bytes)
    with pytest.raises(SyncdError):
        pets.reader.read(items[40], 0, 10)
    assert not [t for t in threading.enumerate() if t.name.startswith("syncd-")]


def test_after_the_end_nothing_more_is_taken(bulk):
    items = bulk.fill(1000)
    taken: list[Item] = []

    def listed():
        for item in items:
            if len(taken) == 200:
                bulk.reader.stop()
            taken.append(item)
            yield item

    bulk.reader.prefetch(listed())
    wait_for(lambda: not bulk.reader._prefetch.busy)
    assert len(taken) <= 200 + PREFETCH_FILES


def test_threads_that_ended_are_forgotten(bulk):
    before = len(bulk.reader._prefetch._threads)
    for _ in range(5):
        bulk.reader.prefetch([])
        wait_for(lambda: not bulk.reader._prefetch.busy)
    assert len(bulk.reader._prefetch._threads) <= before + 2
