"""The ops of a framed batch: checked and digested, decided in memory, then written as one.

`read` runs without any lock and may overlap another batch's commit. `apply` runs inside the
catalogue's one write transaction: it loads what the batch touches, lets op after op change that
in memory, stores the new bodies with one sync, and writes the rows. Doing a batch twice comes to
the same end.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import sqlalchemy as sa

from syncd import frame
from syncd.hub import catalogue, garbage, keys, kinds, schema
from syncd.hub.blobs import BlobStore
from syncd.hub.schema import ItemRow, items

MAX_OPS = 10_000
INT64 = 2**63


class Put(NamedTuple):
    folder: str
    name: str
    digest: bytes
    size: int
    body: memoryview | None
    expect: int | None
    modified_ns: int


class Move(NamedTuple):
    id: str
    expect: int | None
    folder: str
    name: str


class Remove(NamedTuple):
    id: str
    expect: int | None
    state: str


class Result(NamedTuple):
    """What became of one op: the word of the protocol, and what is there now."""

    status: str
    item: ItemRow | None = None
    reason: str | None = None


Op = Put | Move | Remove | Result
"""A Result among the ops is one that was settled while reading: refused, or a wrong digest."""


def read(data: bytes | bytearray) -> list[Op]:
    """Check and digest a framed body; raises FrameError where it is not one at all."""
    ops = [_op(op, body) for op, body in frame.unpack(data)]
    if len(ops) > MAX_OPS:
        raise frame.FrameError(f"a batch holds at most {MAX_OPS} operations")
    return ops


def _op(op: dict[str, Any], body: memoryview | None) -> Op:
    try:
        if op.get("op") == "put":
            return _put(op, body)
        if body is not None:
            raise keys.BadNameError("only a put has a body")
        return _other(op)
    except keys.BadNameError as error:
        return Result("refused", None, str(error))


def _put(op: dict[str, Any], body: memoryview | None) -> Op:
    folder, name = keys.split(op.get("key"))
    digest = keys.digest(op.get("digest"))
    size = _whole(op, "size", 0)
    if body is not None and (len(body) != size or sha256(body).digest() != digest):
        return Result("mismatch", None, "the body is not what the digest and size announce")
    modified = _whole(op, "modified", -INT64)
    return Put(folder, name, digest, size, body, _expect(op), modified)


def _other(op: dict[str, Any]) -> Op:
    verb, id = op.get("op"), op.get("id")
    if type(id) is not str or not id.isascii():
        raise keys.BadNameError("an operation on an item names it by id")
    if verb == "move":
        return Move(id, _expect(op), *keys.split(op.get("key")))
    if verb in ("trash", "delete"):
        return Remove(id, _expect(op), "trashed" if verb == "trash" else "purged")
    raise keys.BadNameError("an operation is one of put, move, trash, delete")


def _whole(op: dict[str, Any], name: str, least: int) -> int:
    value = op.get(name)
    if type(value) is not int or not least <= value < INT64:
        raise keys.BadNameError(f"{name} must be a whole number")
    return value


def _expect(op: dict[str, Any]) -> int | None:
    return None if op.get("expect") is None else _whole(op, "expect", 0)


@dataclass(slots=True, kw_only=True)
class Desk:
    """The part of one dataset that a batch touches, as its ops have left it so far."""

    dataset: str
    by: str
    now_ns: int
    at: dict[tuple[str, str], ItemRow] = field(default_factory=dict)
    """Present items by key."""
    known: dict[str, ItemRow] = field(default_factory=dict)
    held: dict[bytes, int] = field(default_factory=dict)
    loaded: dict[str, ItemRow] = field(default_factory=dict)
    """The items as the catalogue has them: what is not among them is new."""
    touched: dict[str, None] = field(default_factory=dict)
    bodies: dict[bytes, memoryview] = field(default_factory=dict)
    replaced: list[dict[str, Any]] = field(default_factory=list)

    def do(self, op: Op) -> Result:
        match op:
            case Put():
                return self._put(op)
            case Move():
                return self._move(op)
            case Remove():
                return self._remove(op)
        return op

    def _put(self, op: Put) -> Result:
        there = self.at.get((op.folder, op.name))
        if there is not None and there.digest == op.digest:
            return Result("same", there)
        if op.expect != (there.version if there is not None else None):
            return Result("conflict", there, _clash(op.expect, there))
        if op.digest not in self.held:
            if op.body is None:
                return Result("missing", None, "the hub does not hold this digest")
            self.bodies[op.digest] = op.body
            self.held[op.digest] = op.size
        if self.held[op.digest] != op.size:
            return Result("mismatch", None, "the digest is held with another size")
        return Result(
            "stored", self._set(self._new(op) if there is None else self._next(op, there))
        )

    def _new(self, op: Put) -> ItemRow:
        return ItemRow(
            new_id(self.now_ns, len(self.touched)),
            self.dataset,
            op.folder,
            op.name,
            "present",
            1,
            op.digest,
            op.size,
            kinds.by_name(op.name),
            op.modified_ns,
            self.now_ns,
            None,
            self.by,
            0,
            "{}",
        )

    def _next(self, op: Put, there: ItemRow) -> ItemRow:
        self.replaced.append(
            {
                "item": there.id,
                "version": there.version,
                "digest": there.digest,
                "size": there.size,
                "stored_ns": there.stored_ns,
                "replaced_ns": self.now_ns,
            }
        )
        return there._replace(
            version=there.version + 1,
            digest=op.digest,
            size=op.size,
            modified_ns=op.modified_ns,
            stored_ns=self.now_ns,
        )

    def _move(self, op: Move) -> Result:
        item = self.known.get(op.id)
        if item is None or item.state != "present":
            return Result("missing", item, "the item is not there")
        if (item.folder, item.name) == (op.folder, op.name):
            return Result("same", item)
        if op.expect not in (None, item.version):
            return Result("conflict", item, _clash(op.expect, item))
        taken = self.at.get((op.folder, op.name))
        if taken is not None:
            return Result("conflict", taken, "the key is taken")
        moved = item._replace(
            folder=op.folder,
            name=op.name,
            version=item.version + 1,
            content_type=kinds.by_name(op.name),
        )
        return Result("stored", self._set(moved))

    def _remove(self, op: Remove) -> Result:
        item = self.known.get(op.id)
        if item is None:
            return Result("missing", None, "the item is not there")
        if item.state == op.state or item.state == "purged":
            return Result("same", item)
        if op.expect not in (None, item.version):
            return Result("conflict", item, _clash(op.expect, item))
        return Result("stored", self._set(item._replace(state=op.state, trashed_ns=self.now_ns)))

    def _set(self, item: ItemRow) -> ItemRow:
        item = item._replace(by=self.by)
        before = self.known.get(item.id)
        if before is not None and before.state == "present":
            del self.at[before.folder, before.name]
        if item.state == "present":
            self.at[item.folder, item.name] = item
        self.known[item.id] = item
        self.touched[item.id] = None
        return item


def new_id(now_ns: int, number: int) -> str:
    """An id that sorts by time, then by number within a batch, and is never given twice."""
    return f"{now_ns // 1_000_000:012x}{number:04x}{secrets.token_hex(8)}"


def _clash(expect: int | None, there: ItemRow | None) -> str:
    if there is None:
        return f"version {expect} is not there any more"
    return "the key is taken" if expect is None else f"version {there.version} is there"


def apply(tx: sa.Connection, blobs: BlobStore, desk: Desk, ops: Sequence[Op]) -> list[Result]:
    """Do the ops in order; what they answer is true once the transaction is committed."""
    _load(tx, desk, ops)
    results = [desk.do(op) for op in ops]
    if desk.touched:
        _store(tx, blobs, desk)
        _write(tx, desk)
    return results


def _load(tx: sa.Connection, desk: Desk, ops: Sequence[Op]) -> None:
    names: dict[str, list[str]] = {}
    for folder, name in {(op.folder, op.name) for op in ops if isinstance(op, Put | Move)}:
        names.setdefault(folder, []).append(name)
    ids = {op.id for op in ops if isinstance(op, Move | Remove)}
    for folder, some in names.items():
        key = (items.c.dataset == desk.dataset, items.c.folder == folder)
        _take(tx, desk, some, items.c.name, schema.PRESENT, *key)
    _take(tx, desk, sorted(ids), items.c.id, items.c.dataset == desk.dataset)
    desk.held = catalogue.held(tx, list({op.digest for op in ops if isinstance(op, Put)}))
    desk.loaded = dict(desk.known)


def _take(
    tx: sa.Connection, desk: Desk, values: list[str], column: sa.Column[str], *where: Any
) -> None:
    for start in range(0, len(values), catalogue.CHUNK):
        some = values[start : start + catalogue.CHUNK]
        for found in tx.execute(sa.select(items).where(*where, column.in_(some))):
            row = ItemRow(*found)
            desk.known[row.id] = row
            if row.state == "present":
                desk.at[row.folder, row.name] = row


def _store(tx: sa.Connection, blobs: BlobStore, desk: Desk) -> None:
    places = blobs.append(list(desk.bodies.values()))
    rows = [
        {
            "digest": digest,
            "size": len(body),
            "place": place.name,
            "offset": place.offset,
            "stored_ns": desk.now_ns,
        }
        for (digest, body), place in zip(desk.bodies.items(), places, strict=True)
    ]
    if rows:
        tx.execute(sa.insert(schema.blobs), rows)


def _write(tx: sa.Connection, desk: Desk) -> None:
    seq = catalogue.take_seq(tx, len(desk.touched))
    rows = [desk.known[id]._replace(seq=seq + n) for n, id in enumerate(desk.touched)]
    new = [row._asdict() for row in rows if row.id not in desk.loaded]
    changed = [row for row in rows if row.id in desk.loaded]
    if changed:
        update(tx, changed)
    if new:
        tx.execute(sa.insert(items), new)
    if desk.replaced:
        tx.execute(sa.insert(schema.versions), desk.replaced)
    garbage.release(tx, [row for row in changed if row.state == "purged"])
    was = [desk.loaded[row.id] for row in changed]
    tally(tx, desk.dataset, before=was, after=rows)


def update(tx: sa.Connection, rows: Sequence[ItemRow]) -> None:
    """Write changed items. All let go of their keys first: two of them may have swapped names."""
    ids = [{"key": row.id} for row in rows]
    mine = items.c.id == sa.bindparam("key")
    tx.execute(sa.update(items).where(mine).values(state="moving"), ids)
    values = {name: sa.bindparam(f"new_{name}") for name in ItemRow._fields}
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
