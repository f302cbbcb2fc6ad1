"""Fetching what flights ask for: from another mount's cache, or from the remote.

A few workers take the requests; what comes is handed to whoever waits for it and goes into the
cache. Nothing is handed on that is not of the digest, where that can be told at once; a file of
several blocks is held against its digest once all of them are here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from hashlib import sha256

from syncd.errors import GarbledError, SyncdError, TransientError
from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.flights import Flight, Flights
from syncd.mount.blocks.others import Others
from syncd.mount.blocks.pause import Pause
from syncd.mount.blocks.proofs import Proofs
from syncd.remotes.base import Dataset, Fetches

log = logging.getLogger(__name__)
REST_SECONDS = 0.002
GROUP_BYTES = BLOCK // 2
"""Small files are stored so many bytes at a time."""


class Fetcher:
    """The workers of one dataset, from the start until `closing` is set and flights are closed."""

    def __init__(
        self,
        dataset: Dataset,
        cache: BlockCache,
        flights: Flights,
        pause: Pause,
        closing: threading.Event,
        *,
        parallel: int,
    ) -> None:
        self._dataset = dataset
        self._cache = cache
        self._flights = flights
        self._pause = pause
        self._closing = closing
        self._others = Others(cache.folder)
        self._proofs = Proofs(cache, self._rest)
        self._threads = [
            threading.Thread(target=self._work, name=f"syncd-fetch-{n}", daemon=True)
            for n in range(parallel)
        ]
        for thread in self._threads:
            thread.start()

    def bad(self, name: str) -> bool:
        """Whether what arrived of a file was just found not to be what its digest says."""
        return self._proofs.bad(name)

    def join(self, until: float) -> None:
        """Wait until then (monotonic s) for what is under way; what comes later is dropped."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._others.close()

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
                late = time.monotonic() - began > self._pause.seconds
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
                flight = flights[name_of(self._dataset, item)]
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
            self._pause.begin(error)
            self._flights.lose(batch, error)
        else:
            self._flights.fail(batch, error)


def _is_away(error: SyncdError) -> bool:
    return isinstance(error, TransientError) and not error.answered


def _fits(flight: Flight, data: bytes) -> bool:
    """Whether these are as many bytes as asked for and, of a small file, those of its digest."""
    digest = flight.small and flight.item.digest
    return len(data) == flight.size and (not digest or sha256(data).hexdigest() == digest)


def name_of(dataset: Dataset, item: Item) -> str:
    """What the cache calls its content: the digest, or where there is none this version of it."""
    if item.digest:
        return item.digest
    mark = (dataset.info.id, item.id, item.version, item.size, item.modified_ns)
    return sha256(repr(mark).encode()).hexdigest()
