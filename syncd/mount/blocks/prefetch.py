"""Fetching ahead: in the background, while nobody waits for anything."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice

from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK
from syncd.mount.blocks.fetcher import name_of
from syncd.mount.blocks.flights import Flights
from syncd.mount.blocks.pause import Pause
from syncd.remotes.base import Dataset

PREFETCH_FILES = 64
LOOK_SECONDS = 0.005

Latest = deque[tuple[int, Sequence[Item]]]
"""What was asked for ahead of late, and how often something was lost until then."""


class Prefetch:
    """What is fetched ahead of one dataset; safe between threads."""

    def __init__(
        self,
        dataset: Dataset,
        flights: Flights,
        pause: Pause,
        closing: threading.Event,
        *,
        room: int,
        parallel: int,
    ) -> None:
        """`room` is how many bytes are asked for at most, `parallel` how many requests go out at
        a time."""
        self._dataset = dataset
        self._flights = flights
        self._pause = pause
        self._closing = closing
        self._room = room
        self._parallel = parallel
        self._lock = threading.Lock()
        self._begun = 0
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> bool:
        """Whether there is more to ask for."""
        return self._begun > 0

    def begin(self, items: Iterable[Item]) -> None:
        """Fetch these, as many as there is room for."""
        thread = threading.Thread(
            target=self._run, args=(iter(items),), name="syncd-prefetch", daemon=True
        )
        with self._lock:  # so that none is waited for before it runs
            thread.start()
            self._begun += 1
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]

    def want(self, items: Sequence[Item]) -> None:
        """Ask for these, when nobody waits for anything else."""
        self._flights.want_ahead(
            (item, name_of(self._dataset, item), block)
            for item in items
            for block in range(-(-(item.size or 0) // BLOCK))
        )

    def join(self, until: float) -> None:
        """Wait until then (monotonic s) for those who ask; `closing` is set."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self, items: Iterator[Item]) -> None:
        # As many requests are under way at a time, each for some of these, and one is to come.
        latest: Latest = deque(maxlen=self._parallel + 1)
        try:
            self._ask(items, latest)
        finally:
            with self._lock:
                self._begun -= 1
        self._wait_until(partial(self._flights.idle, landed=True), latest)

    def _ask(self, items: Iterator[Item], latest: Latest) -> None:
        room = self._room
        while room > 0 and (some := list(islice(items, PREFETCH_FILES))):
            room -= sum(item.size or 0 for item in some)
            latest.append((self._flights.lost, some))
            self.want(some)
            if not self._wait_until(self._flights.idle, latest):
                return

    def _wait_until(self, true: Callable[[], bool], latest: Latest) -> bool:
        """Wait for it, and ask again for what was lost; False where the end came. A pause tells
        nothing of it: it may be over before anybody looks."""
        while not true() or self._pause.reason or self._lost(latest):
            if self._closing.wait(self._pause.seconds if self._pause.reason else LOOK_SECONDS):
                return False
            for n in self._lost(latest):
                latest[n] = (self._flights.lost, latest[n][1])
                self.want(latest[n][1])
        return not self._closing.is_set()

    def _lost(self, latest: Latest) -> list[int]:
        """Which of these were asked for before a connection failed."""
        return [n for n, (before, _) in enumerate(latest) if before != self._flights.lost]
