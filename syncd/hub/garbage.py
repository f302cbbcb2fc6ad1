"""What no item needs any more.

A reference is a row of `items` (not purged) or of `versions`; nothing is counted, so nothing can
be miscounted. The transaction that drops the last reference takes the blob's row along; the bytes
are dead from then on, and `room` gives them back to the disk.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from syncd.hub import schema
from syncd.hub.catalogue import CHUNK
from syncd.hub.schema import ItemRow, annotation_sets, blobs, items, pictures, versions


def release(tx: sa.Connection, purged: Sequence[ItemRow]) -> int:
    """Drop the annotations and old versions of purged items, and every blob that only they
    needed; bytes freed."""
    total = 0
    for start in range(0, len(purged), CHUNK):
        some = purged[start : start + CHUNK]
        tx.execute(
            sa.delete(annotation_sets).where(annotation_sets.c.item.in_([row.id for row in some]))
        )
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
        loose = tx.execute(sa.select(blobs.c.digest, blobs.c.size).where(some, *_loose())).all()
        if loose:
            gone = [row.digest for row in loose]
            tx.execute(sa.delete(blobs).where(blobs.c.digest.in_(gone)))
            tx.execute(sa.delete(pictures).where(pictures.c.digest.in_(gone)))
        total += sum(row.size for row in loose)
    return total


def unused(tx: sa.Connection, before_ns: int) -> Sequence[bytes]:
    """Digests stored before a time that no item needs; a scan of all that is held."""
    wanted = sa.select(blobs.c.digest).where(blobs.c.stored_ns < before_ns, *_loose())
    return tx.execute(wanted).scalars().all()


def _loose() -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions under which a row of `blobs` is needed by nobody."""
    one = sa.select(sa.literal(1))
    return (
        ~one.where(items.c.digest == blobs.c.digest, schema.KEPT).exists(),
        ~one.where(versions.c.digest == blobs.c.digest).exists(),
    )
