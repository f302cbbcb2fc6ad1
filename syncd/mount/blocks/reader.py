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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import islice, takewhile

from syncd.errors import GarbledError, RejectedError, SyncdError, TransientError
from syncd.model import Item
from syncd.mount.blocks.ahead import Epochs, Neighbours, Orders, Runs
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.flights import Flight, Flights
from syncd.mount.blocks.others import Others
from syncd.mount.blocks.proofs import Proofs
from syncd.remotes.base import Dataset, Fetches

log = logging.getLogger(__name__)
PAUSE_SECONDS = 1.0
END_SECONDS = 3.0
"""So long the end waits for requests under way; what they bring later is dropped."""
REST_SECONDS = 0.002
PREFETCH_FILES = 64
LULL_SECONDS = 2.0
"""Where nothing was missed for so long, nobody goes through the whole dataset any more."""
HELD = 256
GROUP_BYTES = BLOCK // 2
"""Small files are stored so many bytes at a time."""

Latest = deque[tuple[int, Sequence[Item]]]
"""What was asked for ahead of late, and how often something was lost until then."""


class Reader:
    """Items of one dataset through a cache that others may share; safe between threads."""

    def __init__(
        self, dataset: Dataset, cache: BlockCache, *, deadline_s: float = 30.0, parallel: int = 4
    ) -> None:
        self._dataset = dataset
        self._cache = cache
        self._deadline = deadline_s
        self._others = Others(cache.folder)
        self._flights = Flights(cache.has, bulk=isinstance(dataset, Fetches), parallel=parallel)
        self._runs = Runs()
        self._orders = Orders()
        info = dataset.info
        self._epochs = Epochs(info.items, fits=0 < info.bytes <= cache.max_bytes // 2)
        self._everything: Callable[[], Iterable[Item]] = lambda: ()
        self._parallel = parallel
        self._prefetching = 0
        self._paused: tuple[float, SyncdError] | None = None
        self._proofs = Proofs(cache, self._rest)
        self._held: deque[str] = deque()
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
        until = time.monotonic() + self._deadline
        if first == last:
            return self._part(item, name, first, offset - first * BLOCK, end - offset, until)
        parts = []
        for block in range(first, last + 1):
            start = max(offset - block * BLOCK, 0)
            stop = min(end - block * BLOCK, BLOCK)
            parts.append(self._part(item, name, block, start, stop - start, until))
        return b"".join(parts)

    def follow(self, neighbours: Neighbours, everything: Callable[[], Iterable[Item]]) -> None:
        """Give what tells the next files of a listing, so that reading in order is fast, and all
        files, for who reads them in any order; called from threads that hold no lock of ours."""
        self._orders.neighbours = neighbours
        self._everything = everything

    def hold(self, item: Item) -> None:
        """Keep what the cache has of a version that was replaced, for those who have it open: not
        every remote still has it. As many are kept as `HELD` says."""
        name = _name(self._dataset, item)
        self._cache.pin(name)
        self._held.append(name)
        while len(self._held) > HELD:
            self._cache.unpin(self._held.popleft())

    def prefetch(self, items: Iterable[Item]) -> None:
        """Fetch these in the background, as many as fit, while nobody waits for anything."""
        self._prefetching += 1
        thread = threading.Thread(
            target=self._prefetch, args=(iter(items),), name="syncd-prefetch", daemon=True
        )
        thread.start()
        self._threads.append(thread)
        for ended in [one for one in self._threads if not one.is_alive()]:
            with suppress(ValueError):  # another thread was quicker
                self._threads.remove(ended)

    def stop(self) -> None:
        """Ask for nothing more; who still waits gets a TransientError now."""
        self._closing.set()
        self._flights.close()

    def close(self, patience_s: float = END_SECONDS) -> None:
        """Stop, and wait so long for what is under way."""
        self.stop()
        while self._held:
            self._cache.unpin(self._held.popleft())
        until = time.monotonic() + patience_s
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        self._others.close()

    # --- reading --------------------------------------------------------------------------------

    def _part(
        self, item: Item, name: str, block: int, start: int, size: int, until: float
    ) -> bytes:
        data = self._cache.read(name, block, start, size)
        self._look_ahead(item, name, block, missed=data is None)
        while data is None:
            left = until - time.monotonic()
            if left <= 0:
                raise self._late()
            flight = self._asked(item, name, block)
            whole = flight.wait(left) if flight else None
            if whole is not None:
                return whole[start : start + size]
            data = self._cache.read(name, block, start, size)
        return data

    def _late(self) -> TransientError:
        """The error of a read that came to its deadline; who tries it again at once, as the
        kernel does page by page, fails at once."""
        error = TransientError(f"it could not be had within {self._deadline:.0f} s")
        self._paused = (time.monotonic() + PAUSE_SECONDS, error)
        return error

    def _asked(self, item: Item, name: str, block: int) -> Flight | None:
        if self._proofs.bad(name):
            raise GarbledError("what arrived is not what the remote's digest says")
        if self._paused and self._is_paused() and not self._here(name, block):
            raise TransientError(str(self._paused[1]))
        return self._flights.want(item, name, block)

    def _here(self, name: str, block: int) -> bool:
        """Whether it arrived meanwhile: it is in flight until it is stored, then in the cache."""
        return self._flights.arrived(name, block) or self._cache.has(name, block)

    def _look_ahead(self, item: Item, name: str, block: int, *, missed: bool) -> None:
        size = item.size or 0
        if self._is_paused():
            return
        if size > BLOCK:
            blocks = self._runs.seen(name, block, -(-size // BLOCK))
            if blocks:
                self._flights.want_ahead((item, name, number) for number in blocks)
        else:
            items = self._orders.seen(item, missed=missed and not self._prefetching)
            if items:
                self._want_ahead(items)
            elif missed and self._epochs.missed(time.monotonic()) and not self._prefetching:
                self.prefetch(self._while_missed(self._everything()))

    # --- fetching -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (taken := self._flights.take()) is not None:
            level, batch = taken
            try:
                self._borrow(batch)
                self._fetch(batch)
            except SyncdError as error:
                self._failed(batch, error)
            except Exception as error:
                log.exception("fetching failed")
                self._failed(batch, TransientError(f"fetching failed inside: {error}"))
            finally:
                self._flights.done(level)
            if self._flights.idle():
                self._cache.flush()

    def _borrow(self, batch: Sequence[Flight]) -> None:
        """Take what another mount has already; what is left of a run is still one."""
        for flight in batch:
            data = self._others.find(flight.name, flight.block)
            if data is not None and _fits(flight, data):
                self._flights.arrive(flight, data)
                self._store([flight])
            elif not flight.small:
                break
        if not batch[-1].small and not batch[-1].open:
            self._proofs.prove(batch[-1].item, batch[-1].name)

    def _fetch(self, batch: Sequence[Flight]) -> None:
        """Fetch these; what fails at once, as on a connection that was closed, is tried again,
        and then each that somebody waits for by itself: one may be what breaks the others."""
        began = time.monotonic()
        for number, attempt in enumerate((self._fetch_once, self._fetch_once, self._fetch_each)):
            try:
                attempt([flight for flight in batch if flight.open])
                return
            except TransientError as error:
                away = _is_away(error) and number > 0
                late = time.monotonic() - began > PAUSE_SECONDS
                if away or late or self._closing.is_set():
                    raise

    def _fetch_once(self, batch: Sequence[Flight]) -> None:
        if not batch:
            return
        if not batch[0].small:
            self._fetch_run(batch)
        elif isinstance(self._dataset, Fetches):
            self._fetch_bulk(self._dataset, batch)
        else:
            self._fetch_alone(batch[0])

    def _fetch_alone(self, flight: Flight) -> None:
        data = b"".join(self._dataset.read(flight.item))
        if self._checked(flight, data):
            self._store([flight])

    def _fetch_each(self, batch: Sequence[Flight]) -> None:
        """Those that somebody waits for, one by one."""
        while wanted := self._flights.drop_unwanted([f for f in batch if f.open]):
            try:
                if wanted[0].small:
                    self._fetch_alone(wanted[0])
                else:
                    self._fetch_run(wanted[:1])
            except SyncdError as error:
                if _is_away(error):
                    raise
                self._flights.fail(wanted[:1], error)

    def _fetch_bulk(self, dataset: Fetches, batch: Sequence[Flight]) -> None:
        group: list[Flight] = []
        room = GROUP_BYTES
        flights = {flight.name: flight for flight in batch}
        try:
            for item, answer in dataset.fetch([flight.item for flight in batch]):
                flight = flights[_name(self._dataset, item)]
                if self._checked(flight, answer):
                    group.append(flight)
                    room -= flight.size
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
        waiting, held = deque(run), b""
        for chunk in chunks:
            held = held + chunk if held else chunk
            while waiting and len(held) >= waiting[0].size:
                flight = waiting.popleft()
                data, held = held[: flight.size], held[flight.size :]
                self._flights.arrive(flight, data)
                self._store([flight])
        if waiting or held:
            raise GarbledError("the remote sent another number of bytes than asked for")
        self._proofs.prove(first.item, first.name)

    def _rest(self) -> bool:
        """Who reads goes before a proof, unless there is more to fetch: 1 ms of work, 2 of rest."""
        return self._closing.wait(REST_SECONDS if self._flights.idle() else 0)

    def _checked(self, flight: Flight, answer: bytes | SyncdError) -> bool:
        """Hand on a whole file, if it is the one that was asked for; whether it is."""
        if not isinstance(answer, SyncdError):
            if _fits(flight, answer):
                self._flights.arrive(flight, answer)
                return True
            answer = GarbledError("what arrived is not what the remote's digest says")
        self._flights.fail([flight], answer)
        return False

    def _store(self, flights: Sequence[Flight]) -> None:
        if flights:
            digested = all(flight.small and flight.item.digest for flight in flights)
            blocks = [(flight.name, flight.block, flight.data or b"") for flight in flights]
            self._cache.put_all(blocks, digested=digested)
            self._flights.land(flights)

    def _failed(self, batch: Sequence[Flight], error: SyncdError) -> None:
        if _is_away(error):
            self._paused = (time.monotonic() + PAUSE_SECONDS, error)
            self._flights.lose(batch, error)
        else:
            self._flights.fail(batch, error)

    def _while_missed(self, items: Iterable[Item]) -> Iterator[Item]:
        """These, until for a while nobody reads what is not there."""
        return takewhile(lambda _: time.monotonic() - self._epochs.latest < LULL_SECONDS, items)

    def _prefetch(self, items: Iterator[Item]) -> None:
        # As many requests are under way at a time, each for some of these, and one is to come.
        latest: Latest = deque(maxlen=self._parallel + 1)
        try:
            self._prefetch_all(items, latest)
        finally:
            self._prefetching -= 1
        self._wait_until(partial(self._flights.idle, landed=True), latest)

    def _prefetch_all(self, items: Iterator[Item], latest: Latest) -> None:
        room = self._cache.max_bytes * 9 // 10
        while room > 0 and (some := list(islice(items, PREFETCH_FILES))):
            room -= sum(item.size or 0 for item in some)
            latest.append((self._flights.lost, some))
            self._want_ahead(some)
            if not self._wait_until(self._flights.idle, latest):
                return

    def _wait_until(self, true: Callable[[], bool], latest: Latest) -> bool:
        """Wait for it, and ask again for what was lost; False where the end came. A pause tells
        nothing of it: it may be over before anybody looks."""
        while not true() or self._is_paused() or self._lost(latest):
            if self._closing.wait(PAUSE_SECONDS if self._is_paused() else 0.005):
                return False
            for n in self._lost(latest):
                latest[n] = (self._flights.lost, latest[n][1])
                self._want_ahead(latest[n][1])
        return not self._closing.is_set()

    def _lost(self, latest: Latest) -> list[int]:
        """Which of these were asked for before a connection failed."""
        return [n for n, (before, _) in enumerate(latest) if before != self._flights.lost]

    def _want_ahead(self, items: Sequence[Item]) -> None:
        self._flights.want_ahead(
            (item, _name(self._dataset, item), block)
            for item in items
            for block in range(-(-(item.size or 0) // BLOCK))
        )

    def _is_paused(self) -> bool:
        return self._paused is not None and time.monotonic() < self._paused[0]


def _is_away(error: SyncdError) -> bool:
    return isinstance(error, TransientError) and not error.answered


def _fits(flight: Flight, data: bytes) -> bool:
    """Whether these are as many bytes as asked for and, of a small file, those of its digest."""
    digest = flight.small and flight.item.digest
    return len(data) == flight.size and (not digest or sha256(data).hexdigest() == digest)


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
