"""What will be read next, guessed from what was read: pure but for the neighbours it asks for.

`Runs` recognises sequential reads within big files, `Orders` listing-order reads over small ones.
Both grow their window while the guess holds. Reads come from several threads and may overtake
each other a little; a guess gone wrong costs some bytes, never a wrong answer.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK

Neighbours = Callable[[Item, int], Sequence[Item]]
"""The next so many files after this one, in the order of a listing."""

WINDOW_BLOCKS = 24
WINDOW_FILES = 512
WINDOW_BYTES = 8 * BLOCK
MISSES, EPOCH_SECONDS = 32, 60.0
"""So many misses at least, within so long, tell of an epoch."""
HINTS = 4
"""Files after one that was read by itself: reading one of these means reading in order."""
THIN = 6
"""Where fewer than every so many-th of the expected files is read, nobody reads in order."""
RUNS, HINTED, EXPECTED = 64, 128, 8192
"""How many big files, hinted and expected files are kept in mind."""


@dataclass(slots=True)
class _Run:
    block: int
    edge: int
    """The first block that was not asked for."""
    window: int = 1


class Runs:
    """Sequential readers, one for each big file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    def seen(self, name: str, block: int, blocks: int) -> range:
        """A block of a file of so many is read: the blocks to ask for ahead of it."""
        with self._lock:
            run = self._runs.get(name)
            if run is not None and run.block - 2 <= block <= run.block:
                return range(0)
            if run is None or not run.block < block <= run.edge:
                self._runs[name] = _Run(block, block + 1)
                self._runs.move_to_end(name)
                if len(self._runs) > RUNS:
                    self._runs.popitem(last=False)
                return range(0)
            run.block = block
            run.window = min(run.window * 2, WINDOW_BLOCKS)
            if run.edge - block > run.window * 3 // 4:
                return range(0)
            start, run.edge = max(run.edge, block + 1), min(block + 1 + run.window, blocks)
            return range(start, run.edge)


@dataclass(slots=True)
class _Order:
    tail: Item
    hinted: list[Item]
    """Expected, but not asked for: so far this is only a guess."""
    reached: int = 0
    """How many of the expected files lie behind the furthest reader."""
    expected: int = 0
    hits: int = 0
    window: int = field(default=HINTS)


_Places = OrderedDict[str, tuple[_Order, int]]
"""By item id: whose order expects it, and where in it."""


class Orders:
    """Readers that go through small files in the order of a listing."""

    def __init__(self) -> None:
        self.neighbours: Neighbours = lambda item, count: ()
        self._lock = threading.Lock()
        self._hinted: _Places = OrderedDict()
        self._expected: _Places = OrderedDict()

    def seen(self, item: Item, *, missed: bool) -> Sequence[Item]:
        """A file is read, which was `missed` in the cache: the files to ask for ahead of it."""
        if not missed and item.id not in self._expected and item.id not in self._hinted:
            return ()
        with self._lock:
            hint = self._hinted.pop(item.id, (None, 0))
            order, position = self._expected.pop(item.id, hint)
        if order is None:
            self._begin(item)
            return ()
        return self._go_on(order, position)

    def _begin(self, item: Item) -> None:
        hinted = list(self.neighbours(item, HINTS))
        if hinted:
            order = _Order(hinted[-1], hinted)
            with self._lock:
                self._expect(order, hinted, self._hinted, HINTED)

    def _go_on(self, order: _Order, position: int) -> Sequence[Item]:
        with self._lock:
            order.reached = max(order.reached, position)
            order.hits += 1
            hinted, order.hinted = order.hinted[position:], []
            thin = order.hits * THIN < order.reached
            if thin or order.expected - order.reached > order.window // 2:
                return hinted
            order.window = min(order.window * 2, WINDOW_FILES)
            tail, window = order.tail, order.window
        more = _fitting(self.neighbours(tail, window))
        with self._lock:
            if order.tail is tail and more:
                order.tail = more[-1]
                self._expect(order, more, self._expected, EXPECTED)
        return [*hinted, *more]

    def _expect(self, order: _Order, items: Sequence[Item], places: _Places, at_most: int) -> None:
        for item in items:
            order.expected += 1
            places[item.id] = (order, order.expected)
        while len(places) > at_most:
            places.popitem(last=False)


class Epochs:
    """Recognises that a whole dataset is being read, in whatever order.

    A trainer reads every file once, shuffled: once a good part of a dataset that fits the cache
    was missed within a minute, the rest will be wanted as well.
    """

    def __init__(self, files: int, *, fits: bool) -> None:
        self._enough = max(MISSES, files // 50) if fits else None
        self._began = 0.0
        self._missed = 0
        self.latest = 0.0
        """When a file was missed for the last time."""

    def missed(self, now: float) -> bool:
        """A file was not in the cache: whether this one makes it an epoch."""
        if now - self._began > EPOCH_SECONDS:
            self._began, self._missed = now, 0
        self._missed += 1
        self.latest = now
        if self._enough is None or self._missed < self._enough:
            return False
        self._missed = 0
        return True


def _fitting(items: Sequence[Item]) -> Sequence[Item]:
    """The first of these, as many as a window may hold in bytes, big files left out."""
    room, fitting = WINDOW_BYTES, []
    for item in items:
        size = item.size or 0
        if size <= BLOCK:
            fitting.append(item)
            room -= size
        if room <= 0:
            break
    return fitting
