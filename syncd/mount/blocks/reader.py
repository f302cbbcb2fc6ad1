"""Reading the items of a dataset through the cache: the mount's only way to their bytes.

`read` blocks at most its deadline and answers the bytes of the very item it was given, by its
digest, or raises: TransientError (away, too slow), GarbledError (not the bytes of the digest),
MissingError (gone there), DeniedError. A few workers fetch; readers of one block share a request.
After a failed connection nothing is asked for a second, and what is not cached fails at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile

from syncd.errors import GarbledError, RejectedError, TransientError
from syncd.model import Item
from syncd.mount.blocks.ahead import Epochs, Neighbours, Orders, Runs
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.fetcher import Fetcher, name_of
from syncd.mount.blocks.flights import Flight, Flights
from syncd.mount.blocks.pause import Pause
from syncd.mount.blocks.prefetch import Prefetch
from syncd.remotes.base import Dataset, Fetches

END_SECONDS = 3.0
"""So long the end waits for requests under way; what they bring later is dropped."""
LULL_SECONDS = 2.0
"""Where nothing was missed for so long, nobody goes through the whole dataset any more."""
HELD = 256


class Reader:
    """Items of one dataset through a cache that others may share; safe between threads."""

    def __init__(
        self, dataset: Dataset, cache: BlockCache, *, deadline_s: float = 30.0, parallel: int = 4
    ) -> None:
        self._dataset = dataset
        self._cache = cache
        self._deadline = deadline_s
        self._flights = Flights(cache.has, bulk=isinstance(dataset, Fetches), parallel=parallel)
        self._runs = Runs()
        self._orders = Orders()
        info = dataset.info
        self._epochs = Epochs(info.items, fits=0 < info.bytes <= cache.max_bytes // 2)
        self._everything: Callable[[], Iterable[Item]] = lambda: ()
        self._held: deque[str] = deque()
        self._pause = Pause()
        self._closing = threading.Event()
        self._prefetch = Prefetch(
            dataset, self._flights, self._pause, self._closing,
            room=cache.max_bytes * 9 // 10, parallel=parallel,
        )  # fmt: skip
        self._fetcher = Fetcher(
            dataset, cache, self._flights, self._pause, self._closing, parallel=parallel
        )

    def read(self, item: Item, offset: int, size: int) -> bytes:
        """The item's bytes from `offset`, up to `size` of them or to its end."""
        name, total = name_of(self._dataset, item), _size(item)
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
        name = name_of(self._dataset, item)
        self._cache.pin(name)
        self._held.append(name)
        while len(self._held) > HELD:
            self._cache.unpin(self._held.popleft())

    def prefetch(self, items: Iterable[Item]) -> None:
        """Fetch these in the background, as many as fit, while nobody waits for anything."""
        self._prefetch.begin(items)

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
        self._prefetch.join(until)
        self._fetcher.join(until)

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
        self._pause.begin(error)
        return error

    def _asked(self, item: Item, name: str, block: int) -> Flight | None:
        if self._fetcher.bad(name):
            raise GarbledError("what arrived is not what the remote's digest says")
        away = self._pause.reason
        if away and not self._here(name, block):
            raise TransientError(str(away))
        return self._flights.want(item, name, block)

    def _here(self, name: str, block: int) -> bool:
        """Whether it arrived meanwhile: it is in flight until it is stored, then in the cache."""
        return self._flights.arrived(name, block) or self._cache.has(name, block)

    def _look_ahead(self, item: Item, name: str, block: int, *, missed: bool) -> None:
        size = item.size or 0
        if self._pause.reason:
            return
        if size > BLOCK:
            blocks = self._runs.seen(name, block, -(-size // BLOCK))
            if blocks:
                self._flights.want_ahead((item, name, number) for number in blocks)
        else:
            items = self._orders.seen(item, missed=missed and not self._prefetch.busy)
            if items:
                self._prefetch.want(items)
            elif missed and self._epochs.missed(time.monotonic()) and not self._prefetch.busy:
                self.prefetch(self._while_missed(self._everything()))

    def _while_missed(self, items: Iterable[Item]) -> Iterator[Item]:
        """These, until for a while nobody reads what is not there."""
        return takewhile(lambda _: time.monotonic() - self._epochs.latest < LULL_SECONDS, items)


def _size(item: Item) -> int:
    if item.size is None:
        raise RejectedError("the remote does not tell its size")
    return item.size
