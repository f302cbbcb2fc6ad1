"""The remote's half of a sweep: its whole listing against the receipts, a page per step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from syncd.clock import Clock
from syncd.engine.news import learn
from syncd.model import Item
from syncd.remotes.base import Dataset, Feeds
from syncd.state.store import State

PAGE = 1000


def pages(dataset: Dataset) -> Iterator[Sequence[Item]]:
    """Everything the remote tells of, tombstones too where it has a feed."""
    if not isinstance(dataset, Feeds):
        items = dataset.items()
        while page := list(islice(items, PAGE)):
            yield page
        return
    cursor, more = 0, True
    while more:
        found = dataset.changes(cursor, mine=True)
        yield found.items
        cursor, more = found.cursor, found.more


class Comparison:
    """Wanted from `want` on, over restarts, until it was carried out once to its end."""

    def __init__(self, state: State, dataset: Dataset, clock: Clock) -> None:
        self._state = state
        self._dataset = dataset
        self._clock = clock
        self._steps: Iterator[bool] | None = None

    @property
    def wanted(self) -> bool:
        return bool(self._state.meta.get("compare"))

    def want(self) -> None:
        """Have one made from the first page on, also where one is under way."""
        self._state.meta.put(compare=True)
        self._steps = None

    def step(self) -> bool:
        """Compare the next page; False where there was none, and all is compared.

        Raises what the remote raises; the next step is the first of a new one then.
        """
        steps, self._steps = self._steps or self._compare(), None
        if next(steps, False):
            self._steps = steps
            return True
        self._state.meta.put(compare=False)
        return False

    def _compare(self) -> Iterator[bool]:
        """Learn from each page; at the end note receipts without an item."""
        began, state = self._clock.now_ns(), self._state
        state.listing.begin()
        for page in pages(self._dataset):
            state.listing.add(item.id for item in page)
            learn(state, page, self._clock.now_ns())
            yield True
        state.overlay.forget(state.listing.strangers(), self._clock.now_ns())
        for receipt in state.listing.missing(began, self._clock.now_ns()):
            state.overlay.absent(receipt, self._clock.now_ns())
