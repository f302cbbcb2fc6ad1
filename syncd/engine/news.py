"""What the remote says it holds, compared with the receipts: only what differs is kept.

Called with pages of the feed, of a comparison, and with what an answer brought to light. Whoever
is concerned becomes due. What this very mirror did, but never heard the answer of, becomes its
receipt, or, where the file has left its name since, an orphan that follows it; what a mirror took
away is as if it had never been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncd.model import Item, ItemState, Receipt
from syncd.plan.decide import MIRRORS
from syncd.state.row import Row
from syncd.state.store import State

ORPHAN_NS = 2_000_000_000
"""How long an orphan waits for its file to turn up, as any vanished file does."""


def learn(state: State, items: Sequence[Item], now: int) -> None:
    """Note what differs from the receipts; forget what was noted and does so no more."""
    rows = {**_unanswered(state, items), **state.receipts.by_item([item.id for item in items])}
    known = state.overlay.of([item.id for item in items])
    news: list[Item] = []
    agreed: list[str] = []
    for item in items:
        row = rows.get(item.id)
        receipt = row.receipt if row else None
        if _taken_by_mirror(item):
            if receipt:
                state.overlay.absent(receipt, now)
            else:
                agreed.append(item.id)
        elif row and _ours(state, item):
            _catch_up(state, row, item, now)
            agreed.append(item.id)
        elif receipt and _as_agreed(item, receipt):
            agreed.append(item.id)
        elif row is None and item.id not in known and _present(state, item):
            state.receipts.orphan(item, now, now + ORPHAN_NS)
        else:
            news.append(item)
    state.overlay.forget(agreed, now)
    state.overlay.learn(news, now)


def overtaken(state: State, receipts: Mapping[str, Receipt], now: int) -> None:
    """New receipts, by path: what was known of these items before is forgotten, and what was
    heard of them while the answer was on its way is decided."""
    if state.overlay.empty():
        return
    known = state.overlay.of([receipt.id for receipt in receipts.values()])
    for path, receipt in receipts.items():
        item = known.get(receipt.id)
        if item is None or _older(item, receipt) or _as_agreed(item, receipt):
            state.overlay.forget([receipt.id], now)
            state.agenda.settle(path)
        else:
            state.agenda.settle(path, now)


def current(state: State, items: Sequence[Item]) -> list[Item]:
    """Without what a feed tells late: items that have had a newer version by our own doing."""
    rows = state.receipts.by_item([item.id for item in items])
    receipts = {id: row.receipt for id, row in rows.items()}
    return [item for item in items if not _older(item, receipts.get(item.id))]


def _older(item: Item, receipt: Receipt | None) -> bool:
    if receipt is None or receipt.version is None or item.version is None:
        return False
    return item.version < receipt.version


def _taken_by_mirror(item: Item) -> bool:
    return item.state is not ItemState.PRESENT and item.by.startswith(MIRRORS)


def _ours(state: State, item: Item) -> bool:
    """We were the last to change it, so it is what we sent, whether we were told or not."""
    return item.by == state.meta.get("source") and item.digest is not None


def _present(state: State, item: Item) -> bool:
    return _ours(state, item) and item.state is ItemState.PRESENT


def _unanswered(state: State, items: Sequence[Item]) -> dict[str, Row]:
    """Items that we stored, but never heard so: theirs who hold the keys and have no receipt."""
    ours = [item for item in items if _present(state, item)]
    if not ours:
        return {}
    known = state.overlay.of([item.id for item in ours])
    holders = state.names.holders([item.key for item in ours])
    rows = {item.id: holders.get(item.key) for item in ours if item.id not in known}
    return {id: row for id, row in rows.items() if row and row.receipt is None}


def _catch_up(state: State, row: Row, item: Item, now: int) -> None:
    known = row.receipt
    if known and _as_agreed(item, known):
        return
    receipt = Receipt(
        key=item.key, id=item.id, version=item.version, digest=item.digest or "", stored_ns=now
    )
    state.receipts.own(
        row.path, receipt, row.was if known and item.digest == known.digest else None
    )
    state.agenda.settle(row.path, now)


def _as_agreed(item: Item, receipt: Receipt) -> bool:
    return (
        item.state is ItemState.PRESENT
        and item.version == receipt.version
        and item.key == receipt.key
        and item.digest in (None, receipt.digest)
    )
