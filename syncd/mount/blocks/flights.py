"""Which blocks are on their way, and in which order they are asked for.

Readers call `want`, workers `take` what to ask for in one request and `land` or `fail` it. Who
wants a block that is on its way waits for that one. What a reader waits for comes before what was
asked for ahead of him.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum

from syncd.errors import SyncdError, TransientError
from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK

BATCH_FILES = 256
BATCH_BYTES = 4 * BLOCK
COMPANY_BYTES = BLOCK
"""So much of what nobody waits for comes behind what somebody does."""
RUN = 4
"""Neighbouring blocks of one file that are asked for in one request."""


class Level(IntEnum):
    """Who wants it: a reader who waits, or nobody yet."""

    DEMAND = 0
    AHEAD = 1


class Flight:
    """A block that is wanted; `data` or `error` is set once, before the waiters are woken."""

    __slots__ = ("block", "data", "error", "item", "landed", "name", "taken", "waiter")

    def __init__(self, item: Item, name: str, block: int) -> None:
        self.item = item
        self.name = name
        self.block = block
        self.data: bytes | None = None
        self.error: SyncdError | None = None
        self.taken = self.landed = False
        self.waiter: threading.Event | None = None

    @property
    def size(self) -> int:
        return min(BLOCK, (self.item.size or 0) - self.block * BLOCK)

    @property
    def open(self) -> bool:
        """Whether nothing came of it yet."""
        return not self.landed and self.data is None and self.error is None

    @property
    def small(self) -> bool:
        """Whether this is a whole file."""
        return (self.item.size or 0) <= BLOCK

    def wait(self, seconds: float) -> bytes | None:
        """The bytes, when they are here, or None where they are in the cache by now, or in time are
        not here; raises what became of them instead."""
        if self.waiter and not self.waiter.wait(seconds):
            return None
        if self.error:
            raise copy.copy(self.error)
        return self.data


class Flights:
    """All blocks on their way; `held` tells whether a block came in the meantime."""

    def __init__(self, held: Callable[[str, int], bool], *, bulk: bool, parallel: int) -> None:
        """`held` tells of the cache; of `parallel` requests at a time, half are for what nobody
        waits for. Where many files can come in one answer, few requests make for full ones."""
        self._held = held
        self._bulk = bulk
        half = max(parallel // 2, 1)
        self._room = {Level.DEMAND: half if bulk else parallel, Level.AHEAD: half}
        self._ready = threading.Condition()
        self._all: dict[tuple[str, int], Flight] = {}
        self._queues: tuple[deque[Flight], ...] = (deque(), deque())
        self._requests = 0
        self.lost = 0
        """How often what was on its way was lost with a connection."""
        self._closed = False

    def want(self, item: Item, name: str, block: int) -> Flight | None:
        """A flight to wait for; None where the block is there by now."""
        with self._ready:
            if self._closed:
                raise TransientError("the mount is being ended")
            flight = self._all.get((name, block))
            if flight is None:
                if self._held(name, block):
                    return None
                flight = self._all[name, block] = Flight(item, name, block)
            if flight.data is None and flight.waiter is None:
                flight.waiter = threading.Event()
            if not flight.taken:
                self._queues[Level.DEMAND].append(flight)
                self._wake()
            return flight

    def want_ahead(self, wanted: Iterable[tuple[Item, str, int]]) -> None:
        """Ask for these when nobody waits for anything else; those held or under way are not."""
        with self._ready:
            if self._closed:
                return
            for item, name, block in wanted:
                key = (name, block)
                if key not in self._all and not self._held(name, block):
                    flight = self._all[key] = Flight(item, name, block)
                    self._queues[Level.AHEAD].append(flight)
            self._wake()

    def take(self) -> tuple[Level, list[Flight]] | None:
        """What to ask for next in one request, waiting for it; None when all is over. Who took it
        says `done` afterwards."""
        with self._ready:
            while not self._closed:
                for level in Level:
                    first = self._next(level) if self._room[level] else None
                    if first:
                        self._room[level] -= 1
                        self._requests += 1
                        return level, self._with_company(level, first)
                self._ready.wait()
            return None

    def done(self, level: Level) -> None:
        """The request that `take` gave is over; who says so takes the next."""
        with self._ready:
            self._room[level] += 1
            self._requests -= 1

    def idle(self, *, landed: bool = False) -> bool:
        """Whether nothing is waiting to be asked for, nor, where `landed`, for its answer."""
        with self._ready:
            return not any(self._queues) and not (landed and self._requests)

    def arrive(self, flight: Flight, data: bytes) -> None:
        """Its bytes are here: whoever waits gets them; `land` it when they are stored."""
        with self._ready:
            flight.data = data
            if flight.waiter:
                flight.waiter.set()

    def arrived(self, name: str, block: int) -> bool:
        """Whether its bytes are here, and on their way into the cache."""
        flight = self._all.get((name, block))
        return flight is not None and flight.data is not None

    def land(self, flights: Iterable[Flight]) -> None:
        """These are in the cache now."""
        with self._ready:
            for flight in flights:
                self._forget(flight)
                flight.landed = True
                if flight.waiter is None:  # else who waits still has to take them
                    flight.data = None

    def fail(self, flights: Sequence[Flight], error: SyncdError) -> None:
        with self._ready:
            for flight in flights:
                self._forget(flight)
                if flight.open:
                    flight.taken, flight.error = True, error
                    if flight.waiter:
                        flight.waiter.set()

    def drop_unwanted(self, flights: Sequence[Flight]) -> list[Flight]:
        """Give those up that nobody waits for; the others."""
        with self._ready:
            for flight in flights:
                if flight.waiter is None:
                    self._forget(flight)
                    flight.error = TransientError("it was asked for in vain", answered=True)
            return [flight for flight in flights if flight.waiter]

    def lose(self, flights: Sequence[Flight], error: SyncdError) -> None:
        """A connection failed: neither these nor what was not asked for yet can be had."""
        with self._ready:
            waiting = [f for queue in self._queues for f in queue if not f.taken]
            for queue in self._queues:
                queue.clear()
            self.fail([*flights, *waiting], error)
            self.lost += 1

    def close(self) -> None:
        """No more of it: who waits gets an error, also for what was asked for already."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()
            waiting = list(self._all.values())
        self.fail(waiting, TransientError("the mount is being ended"))

    # --- under the lock -------------------------------------------------------------------------

    def _wake(self) -> None:
        """Have another one take something, if there is something he may take."""
        if any(
            queue and self._room[level] for level, queue in zip(Level, self._queues, strict=True)
        ):
            self._ready.notify()

    def _forget(self, flight: Flight) -> None:
        if self._all.get((flight.name, flight.block)) is flight:
            del self._all[flight.name, flight.block]

    def _with_company(self, level: Level, first: Flight) -> list[Flight]:
        if not first.small:
            company = self._run(first)
        elif self._bulk:
            company = self._batch(level, first)
        else:
            company = [first]
        self._wake()
        return company

    def _batch(self, level: Level, first: Flight) -> list[Flight]:
        """More small files that are wanted as much as this one, and some that will be."""
        batch, held = [first], first.size
        for also in range(level, len(Level)):
            at_most = BATCH_BYTES if also == level else COMPANY_BYTES
            while len(batch) < BATCH_FILES and held < at_most:
                more = self._next(Level(also), small=True)
                if more is None:
                    break
                batch.append(more)
                held += more.size
        return batch

    def _run(self, first: Flight) -> list[Flight]:
        """The blocks that follow in the same file, as far as they are wanted."""
        run = [first]
        while len(run) < RUN:
            following = self._all.get((first.name, first.block + len(run)))
            if following is None or following.taken:
                break
            following.taken = True
            run.append(following)
        return run

    def _next(self, level: Level, *, small: bool = False) -> Flight | None:
        queue = self._queues[level]
        while queue and queue[0].taken:
            queue.popleft()
        if not queue or (small and not queue[0].small):
            return None
        flight = queue.popleft()
        flight.taken = True
        return flight
