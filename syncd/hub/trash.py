"""What happens to trashed items and replaced versions: back, or gone for good.

Called by the routes and, for what is past its time, by `care`. All of it is ops like any other,
so the feed, the counts and the references stay right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from syncd.hub import batch, garbage, schema
from syncd.hub.catalogue import Catalogue
from syncd.hub.desk import Desk
from syncd.hub.ops import Remove, Restore, Result
from syncd.hub.schema import items, versions
from syncd.hub.store import Store

CHUNK = 1_000
"""Items purged in one transaction: between two of these, batches get their turn."""
KEEPER = "hub"
"""Who purged what was past its time, as the feed tells it."""
DAY_NS = 86_400 * 10**9


class Purged(NamedTuple):
    items: int
    bytes: int


def restore(
    store: Store, dataset: str, by: str, ids: Sequence[str], meant: Catalogue | None = None
) -> list[Result]:
    """Bring trashed items back under their keys; a key that is taken again is a conflict."""
    return store.apply(dataset, by, [Restore(id) for id in ids], meant)


def empty(
    store: Store,
    dataset: str,
    by: str,
    *,
    before_ns: int | None = None,
    meant: Catalogue | None = None,
) -> Purged:
    """Purge a dataset's trash, or what of it was trashed before a time; bytes nobody needs."""
    gone = Purged(0, 0)
    while True:
        some = _purge_some(store, dataset, by, before_ns, meant)
        gone = Purged(gone.items + some.items, gone.bytes + some.bytes)
        if some.items < CHUNK:
            return gone


def expire(store: Store, days: float) -> Purged:
    """Purge what was trashed, and forget versions that were replaced, that many days ago."""
    before = store.clock.now_ns() - int(days * DAY_NS)
    number = 0
    freed = _forget_versions(store, before)
    for dataset in store.catalogue.datasets():
        gone = empty(store, dataset.id, KEEPER, before_ns=before)
        number, freed = number + gone.items, freed + gone.bytes
    return Purged(number, freed)


def _purge_some(
    store: Store, dataset: str, by: str, before_ns: int | None, meant: Catalogue | None
) -> Purged:
    wanted = sa.select(items.c.id).where(schema.TRASHED, items.c.dataset == dataset).limit(CHUNK)
    if before_ns is not None:
        wanted = wanted.where(items.c.trashed_ns < before_ns)
    with store.writing(meant) as tx:
        ops = [Remove(id, None, "purged") for id in tx.execute(wanted).scalars()]
        desk = Desk(dataset=dataset, by=by, now_ns=store.clock.now_ns())
        batch.apply(tx, store.blobs, desk, ops)
    return Purged(len(ops), desk.freed)


def _forget_versions(store: Store, before_ns: int) -> int:
    freed = 0
    old = versions.c.replaced_ns < before_ns
    while True:
        with store.writing() as tx:
            rows = tx.execute(sa.select(versions).where(old).limit(CHUNK)).all()
            for row in rows:
                mine = (versions.c.item == row.item, versions.c.version == row.version)
                tx.execute(sa.delete(versions).where(*mine))
            freed += garbage.drop_blobs(tx, sorted({row.digest for row in rows}))
        if len(rows) < CHUNK:
            return freed
