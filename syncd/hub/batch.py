"""Operations on the catalogue, all in one transaction: load what they touch, let the desk decide,
store the new bodies with one sync, write the rows.

Called by `Store` and `trash` inside the one write transaction; what it answers is true once that
is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
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
    for start, end in _steps(len(ids)):
        given = {"wanted": desk.dataset, "some": sorted(ids)[start:end]}
        _lay(desk, tx.execute(_BY_ID, given))
    wanted = {(op.folder, op.name) for op in ops if isinstance(op, Put | Move)}
    back = (desk.known.get(op.id) for op in ops if isinstance(op, Restore))
    wanted |= {(item.folder, item.name) for item in back if item is not None}
    pairs = sorted(wanted - desk.at.keys())
    for start, end in _steps(len(pairs)):
        _lay(desk, _at_keys(tx, desk.dataset, pairs[start:end]))
    desk.held = catalogue.held(tx, list({op.digest for op in ops if isinstance(op, Put)}))
    desk.loaded = dict(desk.known)


def _steps(count: int) -> Iterator[tuple[int, int]]:
    return ((start, start + catalogue.STEP) for start in range(0, count, catalogue.STEP))


def _lay(desk: Desk, found: Iterable[Any]) -> None:
    for values in found:
        row = ItemRow(*values)
        desk.known[row.id] = row
        if row.state == "present":
            desk.at[row.folder, row.name] = row


# Statements of the hot path, made once: making one costs more than running it.
_SEQ = ItemRow._fields.index("seq")
_NEW_ITEMS = sa.insert(items)
_NEW_BLOBS = sa.insert(schema.blobs)
_KNOWN = sa.select(datasets.c.id).where(datasets.c.id == sa.bindparam("wanted"))
_BY_ID = sa.select(items).where(
    items.c.dataset == sa.bindparam("wanted"), items.c.id.in_(sa.bindparam("some", expanding=True))
)


def _at_keys(tx: sa.Connection, dataset: str, pairs: list[tuple[str, str]]) -> Iterable[Any]:
    """The present items under these (folder, name)."""
    size = schema.filled(len(pairs))
    pairs = pairs + pairs[:1] * (size - len(pairs))
    return schema.run(tx, _pairs_query(size), (*chain.from_iterable(pairs), dataset))


@cache
def _pairs_query(size: int) -> sa.TextClause:
    """A join, because SQLite looks through the whole dataset for `(folder, name) IN (...)`:
    23 ms against 0.2 for 200 of 100,000."""
    columns = ", ".join(f'items."{column.name}"' for column in items.c)
    pairs = ", ".join(f"(:f{n}, :n{n})" for n in range(size))
    return sa.text(
        f"WITH wanted (folder, name) AS (VALUES {pairs}) "  # noqa: S608 - nothing foreign in it
        f"SELECT {columns} FROM wanted JOIN items "
        "ON items.folder = wanted.folder AND items.name = wanted.name "
        "WHERE items.dataset = :dataset AND items.state = 'present'"
    )


def _store(tx: sa.Connection, blobs: BlobStore, desk: Desk) -> None:
    places = blobs.append(list(desk.bodies.values()))
    stored = zip(desk.bodies.items(), places, strict=True)
    record(tx, [(digest, len(body), place) for (digest, body), place in stored], desk.now_ns)


def record(tx: sa.Connection, stored: Sequence[tuple[bytes, int, Place]], now_ns: int) -> None:
    """Note where these digests' bytes lie: from the commit on they are held."""
    rows = [(digest, size, place.name, place.offset, now_ns) for digest, size, place in stored]
    if rows:
        schema.run(tx, _NEW_BLOBS, rows)


def _write(tx: sa.Connection, desk: Desk) -> None:
    seq = catalogue.take_seq(tx, len(desk.touched))
    rows = [_numbered(desk.known[id], seq + n) for n, id in enumerate(desk.touched)]
    new = [tuple(row) for row in rows if row.id not in desk.loaded]
    changed = [row for row in rows if row.id in desk.loaded]
    if changed:
        update(tx, changed)
    if new:
        schema.run(tx, _NEW_ITEMS, new)
    if desk.replaced:
        tx.execute(sa.insert(schema.versions), desk.replaced)
    purged = [row for row in changed if row.state == "purged"]
    desk.freed = garbage.release(tx, purged) if purged else 0
    was = [desk.loaded[row.id] for row in changed]
    tally(tx, desk.dataset, before=was, after=rows)


def _numbered(row: ItemRow, seq: int) -> ItemRow:
    # `_replace` takes 2 µs, ten times this.
    return ItemRow._make((*row[:_SEQ], seq, *row[_SEQ + 1 :]))


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
