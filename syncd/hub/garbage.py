"""What no item needs any more, and how its room comes back without losing what one does need.

A reference is a row of `items` (not purged) or of `versions`; nothing is counted, so nothing can
be miscounted. In the transaction that drops the last reference the blob's row goes, and a file's
name is noted in `freed`; only a later step, under the write lock and with no backup running,
removes bytes. A crash in between leaves a note, never a reference without bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from syncd.hub import schema
from syncd.hub.catalogue import CHUNK
from syncd.hub.schema import ItemRow, blobs, freed, items, versions


def release(tx: sa.Connection, purged: Sequence[ItemRow]) -> int:
    """Drop the old versions of purged items and every blob that only they needed; bytes freed."""
    total = 0
    for start in range(0, len(purged), CHUNK):
        some = purged[start : start + CHUNK]
        mine = versions.c.item.in_([row.id for row in some])
        old = tx.execute(sa.select(versions.c.digest).where(mine)).scalars().all()
        if old:
            tx.execute(sa.delete(versions).where(mine))
        total += drop_blobs(tx, sorted({row.digest for row in some} | set(old)))
    return total


def drop_blobs(tx: sa.Connection, digests: Sequence[bytes]) -> int:
    """Forget those of the digests that nothing refers to; return their bytes."""
    total = 0
    for start in range(0, len(digests), CHUNK):
        some = blobs.c.digest.in_(digests[start : start + CHUNK])
        loose = tx.execute(
            sa.select(blobs.c.digest, blobs.c.size, blobs.c.place).where(some, *unreferenced())
        ).all()
        if loose:
            tx.execute(sa.delete(blobs).where(blobs.c.digest.in_([row.digest for row in loose])))
            _note(tx, [row.place for row in loose if row.place.startswith("files/")])
        total += sum(row.size for row in loose)
    return total


def unreferenced() -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions under which a row of `blobs` is needed by nobody."""
    wanted = sa.select(sa.literal(1))
    return (
        ~wanted.where(items.c.digest == blobs.c.digest, schema.KEPT).exists(),
        ~wanted.where(versions.c.digest == blobs.c.digest).exists(),
    )


def _note(tx: sa.Connection, places: Sequence[str]) -> None:
    if places:
        known = set(tx.execute(sa.select(freed.c.place)).scalars())
        fresh = [{"place": place} for place in places if place not in known]
        if fresh:
            tx.execute(sa.insert(freed), fresh)
