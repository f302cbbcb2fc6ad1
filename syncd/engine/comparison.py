"""The remote's half of a sweep: its whole listing against the receipts, a page per step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from syncd.clock import Clock
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


def compare(state: State, dataset: Dataset, clock: Clock) -> Iterator[Sequence[Item]]:
    """Yield each page for the mirror to learn; at the end note receipts without an item."""
    began = clock.now_ns()
    state.listing.begin()
    for page in pages(dataset):
        state.listing.add(item.id for item in page)
        yield page
    state.overlay.forget(state.listing.strangers(), clock.now_ns())
    for receipt in state.listing.missing(began, clock.now_ns()):
        state.overlay.absent(receipt, clock.now_ns())
