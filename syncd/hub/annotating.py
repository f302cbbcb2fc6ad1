"""Annotations in the catalogue: a set for each item and operation, exchanged as a whole.

A change raises the item's `annotated` and brings it into the feed; its version and `by` stay. The
routes in `annotation_calls` call; `garbage` removes the sets of items that are gone for good.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from syncd.annotation.model import AnnotationSet
from syncd.annotation.read import DECODER, WrongError, pointer
from syncd.annotation.sets import LARGEST, from_json
from syncd.annotation.write import compact, plain
from syncd.hub import catalogue
from syncd.hub.catalogue import Catalogue
from syncd.hub.keys import BadNameError
from syncd.hub.ops import Result
from syncd.hub.schema import ItemRow, annotation_sets, items
from syncd.hub.store import Store

MIB = 1024 * 1024
LARGESTS = 10_000
MAX_ITEM = 32 * MIB
"""As `LARGEST`, for all operations together."""
PAGE = 8 * MIB
"""About as much as one answer holds; one item's sets are never divided."""


class SetRow(NamedTuple):
    """One row of `annotations`, its fields in the table's order."""

    item: str
    operation: str
    model: bool
    digest: bytes
    length: int
    changed_ns: int
    by: str
    body: str

    @property
    def said(self) -> tuple[bool, bytes, str]:
        return self.model, self.digest, self.body


class Told(NamedTuple):
    """An item with its sets as they are kept."""

    item: ItemRow
    sets: list[SetRow]


def taken(data: bytes | bytearray) -> list[AnnotationSet | Result]:
    """The sets of a request's body, each checked: what is wrong with one is its result.

    Raises BadNameError where it is no list of sets at all.
    """
    try:
        found = DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise BadNameError(f"the body is not JSON: {error}") from error
    sets = found.get("sets") if isinstance(found, dict) else None
    if not isinstance(sets, list):
        raise BadNameError("the body must hold a list of sets")
    if len(sets) > LARGESTS:
        raise BadNameError(f"at most {LARGESTS} sets can be changed at a time")
    return [_checked(raw) for raw in sets]


def _checked(raw: Any) -> AnnotationSet | Result:
    try:
        return from_json(raw)
    except WrongError as error:
        return Result("refused", None, f"{pointer(*error.way)}: {error.reason}")


def annotate(
    store: Store,
    dataset: str,
    by: str,
    some: Sequence[AnnotationSet | Result],
    meant: Catalogue | None = None,
) -> list[Result]:
    """Put each set in the place of its operation's, all in one transaction; empty ones remove."""
    meant = meant or store.catalogue
    bodies = [_body(one) for one in some]
    store.check_room(sum(len(body) for body in bodies))
    store.catalogue.dataset(id=dataset)
    with store.writing(meant) as tx:
        known = _items(tx, dataset, {o.item_id for o in some if isinstance(o, AnnotationSet)})
        change = _Change(by, store.clock.now_ns(), known, _kept(tx, known))
        results = [
            change.do(one, body) if isinstance(one, AnnotationSet) else one
            for one, body in zip(some, bodies, strict=True)
        ]
        fresh = _write(tx, change) if change.rows else {}
    return [
        r._replace(item=fresh.get(r.item.id, r.item)) if r.item is not None else r for r in results
    ]


def _body(one: AnnotationSet | Result) -> str:
    if not isinstance(one, AnnotationSet):
        return ""
    return f"[{','.join(compact(plain(each)) for each in one.annotations)}]"


class _Change:
    """What a batch of sets does, decided in memory; `rows` are what is to be written."""

    def __init__(
        self, by: str, now_ns: int, known: dict[str, ItemRow], kept: dict[tuple[str, str], SetRow]
    ) -> None:
        self.by, self.now_ns, self.known, self.kept = by, now_ns, known, kept
        self.rows: dict[tuple[str, str], SetRow | None] = {}
        """By item and operation; None is to be removed."""
        self.held: dict[str, int] = {}
        for (item, _), row in kept.items():
            self.held[item] = self.held.get(item, 0) + row.length

    def do(self, some: AnnotationSet, body: str) -> Result:
        item = self.known.get(some.item_id)
        if item is None or item.state != "present":
            return Result("missing", item, "the item is not there")
        at = (some.item_id, some.operation)
        row = self._row(some, body) if some.annotations else None
        before = self.rows.get(at, self.kept.get(at))
        if (row and row.said) == (before and before.said):
            return Result("same", item)
        more = (row.length if row else 0) - (before.length if before else 0)
        total = self.held.get(item.id, 0) + more
        if row and (row.length > LARGEST or total > MAX_ITEM):
            return Result("refused", item, f"more than {LARGEST // MIB} MiB of annotations of one "
                          f"operation, or {MAX_ITEM // MIB} MiB of all")  # fmt: skip
        self.held[item.id] = total
        self.rows[at] = row
        return Result("stored", item)

    def _row(self, some: AnnotationSet, body: str) -> SetRow:
        digest = bytes.fromhex(some.digest)
        length = len(body.encode())
        return SetRow(
            some.item_id, some.operation, some.model, digest, length, self.now_ns, self.by, body
        )


def _write(tx: sa.Connection, change: _Change) -> dict[str, ItemRow]:
    """Write the sets, and the items with their new revisions; return these."""
    tx.execute(_REMOVE, [{"of": item, "named": operation} for item, operation in change.rows])
    new = [row._asdict() for row in change.rows.values() if row]
    if new:
        tx.execute(sa.insert(annotation_sets), new)
    touched = list(dict.fromkeys(item for item, _ in change.rows))
    seq = catalogue.take_seq(tx, len(touched))
    fresh = [
        change.known[id]._replace(
            annotated=change.known[id].annotated + 1, annotated_by=change.by, seq=seq + n
        )
        for n, id in enumerate(touched)
    ]
    tx.execute(
        _REVISE,
        [{"key": r.id, "rev": r.annotated, "who": r.annotated_by, "at": r.seq} for r in fresh],
    )
    return {row.id: row for row in fresh}


def told(store: Store, dataset: str, ids: Sequence[str]) -> tuple[list[Told], int]:
    """The first of these items with their sets, and how many of the ids that answers."""
    store.catalogue.dataset(id=dataset)
    with store.catalogue.read() as tx:
        known = _items(tx, dataset, set(ids))
        done = _fitting(ids, _lengths(tx, known))
        wanted = {id: known[id] for id in ids[:done] if id in known}
        sets: dict[str, list[SetRow]] = {}
        for (item, _), row in sorted(_kept(tx, wanted).items()):
            sets.setdefault(item, []).append(row)
    some = [known[id] for id in ids[:done] if id in known]
    return [Told(row, sets.get(row.id, [])) for row in some if row.state != "purged"], done


def found(store: Store, dataset: str, ids: Sequence[str]) -> list[ItemRow]:
    """Those of the items that are not gone for good."""
    store.catalogue.dataset(id=dataset)
    with store.catalogue.read() as tx:
        known = _items(tx, dataset, set(ids))
    return [row for row in known.values() if row.state != "purged"]


def _fitting(ids: Sequence[str], lengths: dict[str, int]) -> int:
    """How many of the ids one answer can hold: one at least."""
    total = 0
    for number, id in enumerate(ids):
        total += lengths.get(id, 0)
        if number and total > PAGE:
            return number
    return len(ids)


def _items(tx: sa.Connection, dataset: str, ids: set[str]) -> dict[str, ItemRow]:
    wanted = sa.select(items).where(items.c.dataset == dataset)
    rows = (
        ItemRow(*row)
        for some in _steps(ids)
        for row in tx.execute(wanted.where(items.c.id.in_(some)))
    )
    return {row.id: row for row in rows}


def _kept(tx: sa.Connection, known: dict[str, ItemRow]) -> dict[tuple[str, str], SetRow]:
    """All sets of those of the items that ever had any."""
    rows = (
        SetRow(*row)
        for some in _steps({id for id, item in known.items() if item.annotated})
        for row in tx.execute(sa.select(annotation_sets).where(annotation_sets.c.item.in_(some)))
    )
    return {(row.item, row.operation): row for row in rows}


def _lengths(tx: sa.Connection, known: dict[str, ItemRow]) -> dict[str, int]:
    found: dict[str, int] = {}
    sums = sa.select(annotation_sets.c.item, sa.func.sum(annotation_sets.c.length))
    for some in _steps({id for id, item in known.items() if item.annotated}):
        of = sums.where(annotation_sets.c.item.in_(some)).group_by(annotation_sets.c.item)
        found |= {row[0]: row[1] for row in tx.execute(of)}
    return found


def _steps(ids: set[str]) -> Iterator[list[str]]:
    ordered = sorted(ids)
    return (
        ordered[n : n + catalogue.CHUNK] for n in range(0, len(ordered), catalogue.CHUNK)
    )  # fmt: skip


def shown(row: SetRow) -> str:
    """A set as JSON text; its body is put in as it is kept."""
    head = {"operation": row.operation, "model": row.model, "digest": row.digest.hex()}
    return f'{json.dumps(head)[:-1]}, "annotations": {row.body}}}'


_REMOVE = sa.delete(annotation_sets).where(
    annotation_sets.c.item == sa.bindparam("of"),
    annotation_sets.c.operation == sa.bindparam("named"),
)
_REVISE = (
    sa.update(items)
    .where(items.c.id == sa.bindparam("key"))
    .values(annotated=sa.bindparam("rev"), annotated_by=sa.bindparam("who"), seq=sa.bindparam("at"))
)
