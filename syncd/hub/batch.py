"""Operations on the catalogue, all in one transaction: load what they touch, let the desk decide,
store the new bodies with one sync, write the rows.

Called by `Store` and `trash` inside the one write transaction; what it answers is true once that
is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from syncd.errors import NotFoundError
from syncd.hub import catalogue, garbage, schema
from syncd.hub.blobs import BlobStore, Place
from syncd.hub.desk import Desk
from syncd.hub.ops import Move, Op, Put, Remove, Restore, Result
from syncd.hub.schema import ItemRow, datasets, items


def apply(tx: sa.Connection, blobs: BlobStore, desk: Desk, ops: Sequence[Op]) -> list[Result]:
    """Do the ops in order; what they answer is true once the transaction is committed."""
    _load(tx, desk, ops)
    results = [desk.do(op) for op in ops]
    if desk.touched:
        _store(tx, blobs, desk)
        _write(tx, desk)
    return results


def _load(tx: sa.Connection, desk: Desk, ops: Sequence[Op]) -> None:
    """Fetch the items the ops name, whoever is under the keys they want, the digests held."""
    if not tx.execute(_KNOWN, {"wanted": desk.dataset}).scalar():
        raise NotFoundError(f"there is no dataset {desk.dataset}")
    ids = {op.id for op in ops if isinstance(op, Move | Remove | Restore)}
    _take(tx, desk, _BY_ID, sorted(ids), {})
    wanted = {(op.folder, op.name) for op in ops if isinstance(op, Put | Move)}
    back = (desk.known.get(op.id) for op in ops if isinstance(op, Restore))
    wanted |= {(item.folder, item.name) for item in back if item is not None}
    folders: dict[str, list[str]] = {}
    for folder, name in wanted - desk.at.keys():
        folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        _take(tx, desk, _BY_KEY, names, {"folder": folder})
    desk.held = catalogue.held(tx, list({op.digest for op in ops if isinstance(op, Put)}))
    desk.loaded = dict(desk.known)


_NEW_ITEMS = sa.insert(items)
_NEW_BLOBS = sa.insert(schema.blobs)
# Statements of the hot path, made once: making one costs more than running it.
_KNOWN = sa.select(datasets.c.id).where(datasets.c.id == sa.bindparam("wanted"))
_MINE = sa.select(items).where(items.c.dataset == sa.bindparam("wanted"))
_BY_ID = _MINE.where(items.c.id.in_(sa.bindparam("some", expanding=True)))
_BY_KEY = _MINE.where(
    schema.PRESENT,
    items.c.folder == sa.bindparam("folder"),
    items.c.name.in_(sa.bindparam("some", expanding=True)),
)


def _take(
    tx: sa.Connection, desk: Desk, query: sa.Select[Any], some: list[str], where: dict[str, str]
) -> None:
    for start in range(0, len(some), catalogue.CHUNK):
        given = {"wanted": desk.dataset, "some": some[start : start + catalogue.CHUNK], **where}
        for found in tx.execute(query, given):
            row = ItemRow(*found)
            desk.known[row.id] = row
            if row.state == "present":
                desk.at[row.folder, row.name] = row


def _store(tx: sa.Connection, blobs: BlobStore, desk: Desk) -> None:
    places = blobs.append(list(desk.bodies.values()))
    stored = zip(desk.bodies.items(), places, strict=True)
    record(tx, [(digest, len(body), place) for (digest, body), place in stored], desk.now_ns)


def record(tx: sa.Connection, stored: Sequence[tuple[bytes, int, Place]], now_ns: int) -> None:
    """Note where these digests' bytes lie: from the commit on they are held."""
    rows = [
        {
            "digest": digest,
            "size": size,
            "place": place.name,
            "offset": place.offset,
            "stored_ns": now_ns,
        }
        for digest, size, place in stored
    ]
    if rows:
        tx.execute(_NEW_BLOBS, rows)


def _write(tx: sa.Connection, desk: Desk) -> None:
    seq = catalogue.take_seq(tx, len(desk.touched))
    rows = [desk.known[id]._replace(seq=seq + n) for n, id in enumerate(desk.touched)]
    new = [row._asdict() for row in rows if row.id not in desk.loaded]
    changed = [row for row in rows if row.id in desk.loaded]
    if changed:
        update(tx, changed)
    if new:
        tx.execute(_NEW_ITEMS, new)
    if desk.replaced:
        tx.execute(sa.insert(schema.versions), desk.replaced)
    purged = [row for row in changed if row.state == "purged"]
    desk.freed = garbage.release(tx, purged) if purged else 0
    was = [desk.loaded[row.id] for row in changed]
    tally(tx, desk.dataset, before=was, after=rows)


def update(tx: sa.Connection, rows: Sequence[ItemRow]) -> None:
    """Write changed items. All let go of their keys first: two of them may have swapped names."""
    ids = [{"key": row.id} for row in rows]
    mine = items.c.id == sa.bindparam("key")
    tx.execute(sa.update(items).where(mine).values(state="moving"), ids)
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in ItemRow._fields}
    tx.execute(
        sa.update(items).where(mine).values(values),
        [{"key": r.id, **{f"new_{k}": v for k, v in r._asdict().items()}} for r in rows],
    )


def tally(
    tx: sa.Connection, dataset: str, *, before: Sequence[ItemRow], after: Sequence[ItemRow]
) -> None:
    """Bring the dataset's count of present items and bytes from before to after."""
    had = [row.size for row in before if row.state == "present"]
    has = [row.size for row in after if row.state == "present"]
    catalogue.count(tx, dataset, items=len(has) - len(had), bytes=sum(has) - sum(had))
