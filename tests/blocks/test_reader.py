"""Reading through the cache: the right bytes or an error in time, and as few requests as can be."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

import pytest

from syncd.errors import GarbledError, MissingError, SyncdError, TransientError
from syncd.model import Item
from syncd.mount.blocks import reader as module
from syncd.mount.blocks.cache import BLOCK
from syncd.mount.blocks.pause import PAUSE_SECONDS
from syncd.mount.blocks.reader import Reader
from syncd.remotes.memory import Fault, MemoryDataset, MemoryRemote
from tests.blocks.pets import Pets, wait_for, whole


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 7 * BLOCK + 12345])
def test_any_part_of_a_file_of_any_size(pets, size):
    body = random.randbytes(size)
    item = pets.shelf.store("1.mp4", body)
    for offset in (0, 1, size // 2, size - 1, size, size + 10, BLOCK - 1, BLOCK):
        for length in (0, 1, 4096, BLOCK, 3 * BLOCK):
            if offset >= 0:
                assert pets.reader.read(item, offset, length) == body[offset:][:length]
    assert whole(pets, item) == body


def test_after_one_epoch_the_remote_is_not_asked_again(pets):
    items = [*pets.fill(), pets.shelf.store("big", random.randbytes(5 * BLOCK + 1))]
    for item in items:
        assert whole(pets, item) == pets.bytes_of(item)
    pets.fault = Fault.UNREACHABLE
    before = pets.requests()
    for item in random.sample(items, len(items)):
        assert whole(pets, item) == pets.bytes_of(item)
    pets.again()
    assert [whole(pets, item) for item in items] == [pets.bytes_of(item) for item in items]
    assert pets.requests() == before


def test_reading_in_order_takes_few_requests(bulk):
    items = bulk.fill(2000)
    for item in items:
        assert bulk.reader.read(item, 0, 131072) == bulk.bytes_of(item)
    assert bulk.requests() < 60


def test_an_epoch_in_any_order_takes_fewer_requests_than_files(bulk):
    items = bulk.fill(1000)
    bulk.dataset = bulk.remote.open("pets", create=False)  # which knows how many there are
    bulk.again()
    place = {item.id: n for n, item in enumerate(items)}
    bulk.reader.follow(lambda item, n: items[place[item.id] + 1 :][:n], lambda: items)
    for item in random.sample(items, len(items)):
        assert bulk.reader.read(item, 0, 131072) == bulk.bytes_of(item)
    assert bulk.requests() < 600  # more than usual where the reader outruns who fetches ahead


@pytest.mark.parametrize(("lull", "all_of_it"), [(30.0, True), (-1.0, False)])
def test_who_reads_in_any_order_is_brought_the_rest_for_as_long_as_he_does(
    bulk, monkeypatch, lull, all_of_it
):
    monkeypatch.setattr(module, "LULL_SECONDS", lull)
    items = bulk.fill(1000)
    bulk.dataset = bulk.remote.open("pets", create=False)
    bulk.again()
    bulk.reader.follow(lambda item, n: [], lambda: items)
    for item in items[::20]:
        assert bulk.reader.read(item, 0, 131072) == bulk.bytes_of(item)
    wait_for(lambda: not bulk.reader._prefetch.busy and bulk.reader._flights.idle(landed=True))
    assert all(bulk.cache.has(item.digest, 0) for item in items) == all_of_it


def test_readers_of_one_block_share_a_request(pets):
    item = pets.shelf.store("1", random.randbytes(9000))
    gate = threading.Event()
    pets.remote.trouble = lambda request: gate.wait(5) and pets.trouble(request)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(pets.reader.read, item, n, 100) for n in range(8)]
        time.sleep(0.1)
        gate.set()
        assert [one.result() for one in waiting] == [
            pets.bytes_of(item)[n:][:100] for n in range(8)
        ]
    assert pets.requests() == 1


def test_misses_that_come_together_go_together(bulk):
    items = bulk.fill(100)
    gate = threading.Event()
    bulk.remote.trouble = lambda request: gate.wait(5) and bulk.trouble(request)
    with ThreadPoolExecutor(40) as pool:
        waiting = [pool.submit(bulk.reader.read, item, 0, 9999) for item in items[::3]]
        wait_for(lambda: waiters(bulk.reader) == len(waiting))
        gate.set()
        assert [one.result() for one in waiting] == [bulk.bytes_of(i) for i in items[::3]]
    assert bulk.asked["fetch"] < 12


def waiters(reader):
    """How many blocks somebody waits for."""
    return sum(flight.waiter is not None for flight in list(reader._flights._all.values()))


def test_a_replaced_version_and_the_new_one(pets):
    old = pets.shelf.store("1", b"old" * 1000)
    new = pets.shelf.store("1", b"new" * 1000)
    assert pets.reader.read(new, 0, 6) == b"newnew"
    assert pets.reader.read(old, 0, 6) == b"oldold"
    pets.shelf.replaced.clear()
    assert pets.reader.read(old, 0, 6) == b"oldold"  # it is in the cache
    never = replace(new, digest=sha256(b"never").hexdigest())
    with pytest.raises(MissingError):
        pets.reader.read(never, 0, 6)


def test_datasets_of_one_cache_share_what_is_the_same(bulk):
    item = bulk.shelf.store("1", b"x" * 5000)
    assert bulk.reader.read(item, 0, 5) == b"xxxxx"
    wait_for(lambda: bulk.cache.has(item.digest, 0))  # it is answered before it is stored
    other = MemoryRemote(trouble=lambda request: Fault.UNREACHABLE)
    other.trouble = lambda request: None
    dataset = other.open("others", create=True)
    same = other.shelves["others"].store("2", b"x" * 5000)
    other.trouble = lambda request: Fault.UNREACHABLE
    reader = Reader(dataset, bulk.cache)
    try:
        assert reader.read(same, 4999, 5) == b"x"
    finally:
        reader.close()


def test_without_digests_a_version_is_what_tells(pets):
    shown = replace(pets.shelf.store("1", b"old" * 1000), digest=None)
    assert pets.reader.read(shown, 0, 3) == b"old"
    later = replace(pets.shelf.store("1", b"new" * 1000), digest=None)
    assert pets.reader.read(later, 0, 3) == b"new"


class Lying(MemoryDataset):
    """Sends other bytes than asked for, of the same length."""

    lies = True

    def read(self, item, offset=0, length=None):
        for chunk in super().read(item, offset, length):
            yield bytes(len(chunk)) if self.lies else chunk

    def fetch(self, items):
        for item, body in super().fetch(items):
            assert isinstance(body, bytes)
            yield item, bytes(len(body)) if self.lies and item.key != "good" else body


def test_bytes_that_are_not_the_digests_are_never_given(tmp_path, monkeypatch):
    pets = Pets(tmp_path / "cache", Lying)
    bad, good = pets.shelf.store("bad", b"b" * 100), pets.shelf.store("good", b"g" * 100)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(pets.reader.read, item, 0, 100) for item in (bad, good))
        with pytest.raises(GarbledError):
            first.result()
        assert second.result() == b"g" * 100
    monkeypatch.setattr(Lying, "lies", False)
    assert pets.reader.read(bad, 0, 100) == b"b" * 100
    pets.close()


def test_a_big_file_is_held_against_its_digest_once_it_is_whole(tmp_path, expect_log, monkeypatch):
    pets = Pets(tmp_path / "cache", Lying)
    item = pets.shelf.store("1.mp4", random.randbytes(3 * BLOCK))
    expect_log("not those of its digest")
    assert pets.reader.read(item, 0, 10) == bytes(10)  # nobody can tell yet
    assert pets.reader.read(item, BLOCK, 10) == bytes(10)  # and the third comes ahead
    wait_for(lambda: pets.reader._fetcher.bad(item.digest or ""))
    with pytest.raises(GarbledError):
        pets.reader.read(item, 0, 10)
    pets.reader._fetcher._proofs._bad.clear()
    monkeypatch.setattr(Lying, "lies", False)
    assert whole(pets, item) == pets.bytes_of(item)
    wait_for(lambda: pets.cache.whole(item.digest or ""))
    pets.close()


def test_one_that_is_gone_does_not_hinder_the_others(pets):
    items = pets.fill(50)
    pets.shelf.purge(items[20].id)
    for item in items:
        if item is items[20]:
            with pytest.raises(MissingError):
                pets.reader.read(item, 0, 10)
        else:
            assert pets.reader.read(item, 0, 9999) == pets.bytes_of(item)


def test_away_fails_fast_and_comes_back_by_itself(pets):
    pets.reader._pause.seconds = 0.2
    items = pets.fill(20)
    assert pets.reader.read(items[0], 0, 9999) == pets.bytes_of(items[0])
    pets.fault = Fault.UNREACHABLE
    began = time.monotonic()
    with pytest.raises(TransientError):
        pets.reader.read(items[10], 0, 10)
    before = pets.requests()
    for _ in range(100):
        with pytest.raises(TransientError):
            pets.reader.read(items[11], 0, 10)
    if time.monotonic() - began < 0.15:
        assert pets.requests() == before
    assert pets.reader.read(items[0], 0, 9999) == pets.bytes_of(items[0])
    pets.fault = None

    def back():
        with suppress(TransientError):  # what was asked for ahead may fail late
            return pets.reader.read(items[11], 0, 9999) == pets.bytes_of(items[11])
        return False

    wait_for(back)


def test_a_connection_that_was_closed_is_tried_again_at_once(pets):
    item = pets.shelf.store("1", b"x" * 100)
    faults = [Fault.LOST]
    pets.remote.trouble = lambda request: faults.pop() if faults else None
    assert pets.reader.read(item, 0, 100) == b"x" * 100


class Poisoned(MemoryDataset):
    """Breaks off every bulk answer before the item that is poison."""

    def fetch(self, items):
        for item, body in super().fetch(items):
            if item.key == "a/0007":
                raise TransientError("broken off", answered=True)
            yield item, body

    def read(self, item, offset=0, length=None):
        if item.key == "a/0007":
            raise TransientError("500", answered=True)
        return super().read(item, offset, length)


def test_one_that_breaks_every_answer_hinders_only_itself(tmp_path):
    pets = Pets(tmp_path / "cache", Poisoned)
    pets.reader._pause.seconds = 60.0  # what took longer is not tried one by one
    items = pets.fill(40)
    with ThreadPoolExecutor(40) as pool:
        waiting = {item.key: pool.submit(pets.reader.read, item, 0, 9999) for item in items}
        for item in items:
            if item.key == "a/0007":
                with pytest.raises(TransientError):
                    waiting[item.key].result()
            else:
                assert waiting[item.key].result() == pets.bytes_of(item)
    pets.close()


def test_a_bug_inside_is_an_error_and_not_a_silence(pets, expect_log):
    item = pets.shelf.store("1", b"x" * 100)
    pets.remote.trouble = lambda request: 1 // 0
    expect_log("fetching failed")
    with pytest.raises(TransientError, match="inside"):
        pets.reader.read(item, 0, 10)


def test_a_remote_that_hangs_is_waited_for_as_long_as_was_said(tmp_path):
    pets = Pets(tmp_path / "cache", deadline_s=0.3)
    items = pets.fill(20)
    assert pets.reader.read(items[0], 0, 10)
    gate = threading.Event()
    pets.remote.trouble = lambda request: Fault.BUSY if not gate.wait(5) else None
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(pets.reader.read, item, 0, 10) for item in items[5:15]]
        for one in waiting:
            with pytest.raises(TransientError):
                one.result()
    assert 0.25 < time.monotonic() - began < 2
    assert pets.reader.read(items[0], 0, 10)
    gate.set()
    time.sleep(PAUSE_SECONDS)
    assert pets.reader.read(items[5], 0, 9999) == pets.bytes_of(items[5])
    pets.close()


def test_a_size_that_is_not_told_is_an_error(pets):
    with pytest.raises(SyncdError, match="size"):
        pets.reader.read(Item(key="1", id="1"), 0, 10)


def test_at_random_by_many_while_items_are_replaced(tmp_path):
    pets = Pets(tmp_path / "cache", max_bytes=40 * 3000)  # room for a few: everything comes again
    items = pets.fill(100)
    wrong, stop = [], threading.Event()

    def read(seed):
        chance = random.Random(seed)
        while not stop.is_set():
            at = chance.randrange(100)
            item, offset = items[at], chance.randrange(3000)
            if pets.reader.read(item, offset, 500) != pets.bytes_of(item)[offset:][:500]:
                wrong.append(item)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for number in range(300):
        items[number % 100] = pets.shelf.store(f"a/{number % 100:04}", random.randbytes(3000))
        time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    pets.close()


def test_a_read_over_two_blocks_has_one_deadline_and_the_next_fails_at_once(tmp_path):
    pets = Pets(tmp_path / "cache", deadline_s=2)
    item = pets.shelf.store("1.mp4", random.randbytes(3 * BLOCK))
    gate = threading.Event()
    pets.remote.trouble = lambda request: Fault.BUSY if not gate.wait(10) else None
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(TransientError, match="had within"):
            pets.reader.read(item, BLOCK - 10, 20)
    assert time.monotonic() - began < 3.5, "two deadlines are four seconds"
    gate.set()
    time.sleep(PAUSE_SECONDS)
    assert pets.reader.read(item, BLOCK - 10, 20) == pets.bytes_of(item)[BLOCK - 10 :][:20]
    pets.close()


def test_what_was_replaced_outlives_others_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HELD", 1)
    pets = Pets(tmp_path / "cache", max_bytes=BLOCK)
    old, later = pets.shelf.store("old", b"old" * 1000), pets.shelf.store("later", b"new" * 1000)
    body = pets.bytes_of(old)

    def pass_by():
        for number in range(500):
            content = random.randbytes(5000)
            pets.cache.put(sha256(content).hexdigest(), number, content)

    assert whole(pets, old) == body
    wait_for(lambda: pets.cache.has(old.digest or "", 0))  # it is answered before it is stored
    pets.reader.hold(old)
    pass_by()
    pets.fault = Fault.UNREACHABLE
    assert whole(pets, old) == body
    pets.reader.hold(later)  # which is one too many
    pass_by()
    with pytest.raises(TransientError):
        whole(pets, old)
    pets.close()
