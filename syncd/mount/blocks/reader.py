"""Reading the items of a dataset through the cache: the mount's only way to their bytes.

`read` blocks at most its deadline and answers the bytes of the very item it was given, by its
digest, or raises: TransientError (away, too slow), GarbledError (not the bytes of the digest),
MissingError (gone there), DeniedError. A few workers fetch; readers of one block share a request.
After a failed connection nothing is asked for a second, and what is not cached fails at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice

from syncd.errors import GarbledError, RejectedError, SyncdError, TransientError
from syncd.model import Item
from syncd.mount.blocks.ahead import Neighbours, Orders, Runs
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.flights import Flight, Flights
from syncd.remotes.base import Dataset, Fetches

log = logging.getLogger(__name__)
PAUSE_SECONDS = 1.0
GROUP_BYTES = BLOCK // 2
"""Small files are stored so many bytes at a time."""


class Reader:
    """Items of one dataset through a cache that others may share; safe between threads."""

    def __init__(
        self, dataset: Dataset, cache: BlockCache, *, deadline_s: float = 30.0, parallel: int = 4
    ) -> None:
        self._dataset = dataset
        self._cache = cache
        self._deadline = deadline_s
        self._flights = Flights(cache.has, bulk=isinstance(dataset, Fetches))
        self._runs = Runs()
        self._orders = Orders()
        self._paused: tuple[float, SyncdError] | None = None
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"syncd-fetch-{n}", daemon=True)
            for n in range(parallel)
        ]
        for thread in self._threads:
            thread.start()

    def read(self, item: Item, offset: int, size: int) -> bytes:
        """The item's bytes from `offset`, up to `size` of them or to its end."""
        name, total = _name(self._dataset, item), _size(item)
        end = min(offset + size, total)
        if offset >= end:
            return b""
        first, last = offset // BLOCK, (end - 1) // BLOCK
        if first == last:
            return self._part(item, name, first, offset - first * BLOCK, end - offset)
        parts = []
        for block in range(first, last + 1):
            start = max(offset - block * BLOCK, 0)
            stop = min(end - block * BLOCK, BLOCK)
            parts.append(self._part(item, name, block, start, stop - start))
        return b"".join(parts)

    def follow(self, neighbours: Neighbours) -> None:
        """Give what tells the next files of a listing, so that reading in order is fast; it is
        called from reading threads, holding no lock of ours."""
        self._orders.neighbours = neighbours

    def prefetch(self, items: Iterable[Item]) -> None:
        """Fetch these in the background, as many as fit, while nobody waits for anything."""
        thread = threading.Thread(
            target=self._prefetch, args=(iter(items),), name="syncd-prefetch", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """End what is under way; who still waits gets a TransientError."""
        self._closing.set()
        self._flights.close()
        for thread in self._threads:
            thread.join()

    # --- reading --------------------------------------------------------------------------------

    def _part(self, item: Item, name: str, block: int, start: int, size: int) -> bytes:
        data = self._cache.read(name, block, start, size)
        self._look_ahead(item, name, block, missed=data is None)
        until = time.monotonic() + self._deadline
        while data is None:
            flight = self._asked(item, name, block)
            if flight is not None:
                return flight.wait(max(until - time.monotonic(), 0))[start : start + size]
            data = self._cache.read(name, block, start, size)
        return data

    def _asked(self, item: Item, name: str, block: int) -> Flight | None:
        paused = self._paused
        if paused and time.monotonic() < paused[0]:
            raise TransientError(str(paused[1]))
        return self._flights.want(item, name, block)

    def _look_ahead(self, item: Item, name: str, block: int, *, missed: bool) -> None:
        size = item.size or 0
        if size > BLOCK:
            blocks = self._runs.seen(name, block, -(-size // BLOCK))
            if blocks:
                self._flights.want_ahead((item, name, number) for number in blocks)
        else:
            items = self._orders.seen(item, missed=missed)
            if items:
                self._flights.want_ahead((it, _name(self._dataset, it), 0) for it in items)

    # --- fetching -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._flights.take()) is not None:
            try:
                self._fetch(batch)
            except SyncdError as error:
                self._failed(batch, error)
            except Exception as error:
                log.exception("fetching failed")
                self._failed(batch, TransientError(f"fetching failed inside: {error}"))
            if self._flights.idle():
                self._cache.flush()

    def _fetch(self, batch: Sequence[Flight]) -> None:
        """Fetch these; what fails at once, as on a connection that was closed, is tried again."""
        began = time.monotonic()
        try:
            self._fetch_once(batch)
        except TransientError:
            if self._closing.is_set() or time.monotonic() - began > PAUSE_SECONDS:
                raise
            self._fetch_once([f for f in batch if f.data is None and f.error is None])

    def _fetch_once(self, batch: Sequence[Flight]) -> None:
        if not batch:
            return
        if not batch[0].small:
            self._fetch_run(batch)
        elif isinstance(self._dataset, Fetches):
            self._fetch_bulk(self._dataset, batch)
        else:
            data = b"".join(self._dataset.read(batch[0].item))
            self._store([self._checked(batch[0], data)])

    def _fetch_bulk(self, dataset: Fetches, batch: Sequence[Flight]) -> None:
        group: list[Flight] = []
        room = GROUP_BYTES
        flights = {flight.item.id: flight for flight in batch}
        try:
            for item, answer in dataset.fetch([flight.item for flight in batch]):
                flight = flights[item.id]
                if isinstance(answer, SyncdError):
                    self._flights.fail([flight], answer)
                    continue
                group.append(self._checked(flight, answer))
                room -= len(answer)
                if room <= 0:
                    self._store(group)
                    group, room = [], GROUP_BYTES
        finally:
            self._store(group)

    def _fetch_run(self, run: Sequence[Flight]) -> None:
        """Neighbouring blocks of one file, each handed on when it is here."""
        first = run[0]
        length = sum(flight.size for flight in run)
        chunks = self._dataset.read(first.item, first.block * BLOCK, length)
        waiting = list(run)
        held = bytearray()
        for chunk in chunks:
            held += chunk
            while waiting and len(held) >= waiting[0].size:
                flight = waiting.pop(0)
                data = bytes(memoryview(held)[: flight.size])
                del held[: flight.size]
                self._flights.arrive(flight, data)
                self._store([flight])
        if waiting or held:
            raise GarbledError("the remote sent another number of bytes than asked for")

    def _checked(self, flight: Flight, data: bytes) -> Flight:
        """Hand on a whole file, if it is the one that was asked for."""
        digest = flight.item.digest
        if len(data) != flight.size or (digest and sha256(data).hexdigest() != digest):
            raise GarbledError("what arrived is not what the remote's digest says")
        self._flights.arrive(flight, data)
        return flight

    def _store(self, flights: Sequence[Flight]) -> None:
        if flights:
            self._cache.put_all([(f.name, f.block, f.data or b"") for f in flights])
            self._flights.land(flights)

    def _failed(self, batch: Sequence[Flight], error: SyncdError) -> None:
        self._flights.fail(batch, error)
        if isinstance(error, TransientError) and not error.answered:
            self._paused = (time.monotonic() + PAUSE_SECONDS, error)
            self._flights.fail_waiting(error)

    def _prefetch(self, items: Iterator[Item]) -> None:
        room = self._cache.max_bytes * 9 // 10
        while room > 0 and not self._closing.is_set():
            some = list(islice(items, 64))
            if not some:
                return
            for item in some:
                room -= item.size or 0
                blocks = range(-(-(item.size or 0) // BLOCK))
                name = _name(self._dataset, item)
                self._flights.want_ahead((item, name, block) for block in blocks)
            while not self._flights.idle() and not self._closing.wait(0.01):
                pass


def _size(item: Item) -> int:
    if item.size is None:
        raise RejectedError("the remote does not tell its size")
    return item.size


def _name(dataset: Dataset, item: Item) -> str:
    """What the cache calls its content: the digest, or where there is none this version of it."""
    if item.digest:
        return item.digest
    mark = (dataset.info.id, item.id, item.version, item.size, item.modified_ns)
    return sha256(repr(mark).encode()).hexdigest()
