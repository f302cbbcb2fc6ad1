"""What operations do to items, decided in memory: the rules of the protocol, and no I/O.

`batch` lays the items an operation touches on the desk and writes back what was changed. Doing an
operation twice comes to the same end.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from syncd.hub import kinds
from syncd.hub.ops import Move, Op, Put, Remove, Restore, Result
from syncd.hub.schema import ItemRow


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
    mark: str = field(default_factory=partial(secrets.token_hex, 8))
    """What sets its ids apart from those of all others: a question to the system once, not for
    each item."""
    bodies: dict[bytes, memoryview] = field(default_factory=dict)
    replaced: list[dict[str, Any]] = field(default_factory=list)
    freed: int = 0
    """Bytes nobody needs any more; known once the batch was written."""

    def do(self, op: Op) -> Result:
        match op:
            case Put():
                return self._put(op)
            case Move():
                return self._move(op)
            case Remove():
                return self._remove(op)
            case Restore():
                return self._restore(op)
        return op

    def _put(self, op: Put) -> Result:
        there = self.at.get((op.folder, op.name))
        if there is not None and there.digest == op.digest:
            return Result("same", there)
        if op.expect != (there.version if there is not None else None):
            return Result("conflict", there, _clash(op.expect, there))
        if there is not None and op.id not in (None, there.id):
            return Result("conflict", there, "another item has the key now")
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
            self._new_id(),
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

    def _new_id(self) -> str:
        """An id that sorts by time, then by number within the batch, and is never given twice."""
        return f"{self.now_ns // 1_000_000:012x}{len(self.touched):04x}{self.mark}"

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
        gone = item._replace(state=op.state, trashed_ns=self.now_ns)
        # Who took it away is who trashed it, and not who emptied the trash.
        return Result("stored", self._set(gone, by=item.by if item.state == "trashed" else None))

    def _restore(self, op: Restore) -> Result:
        item = self.known.get(op.id)
        if item is None or item.state == "purged":
            return Result("missing", item, "the item is gone for good")
        if item.state == "present":
            return Result("same", item)
        taken = self.at.get((item.folder, item.name))
        if taken is not None:
            return Result("conflict", taken, "the key is taken")
        return Result("stored", self._set(item._replace(state="present", trashed_ns=None)))

    def _set(self, item: ItemRow, *, by: str | None = None) -> ItemRow:
        by = self.by if by is None else by
        if item.by != by:
            item = item._replace(by=by)
        before = self.known.get(item.id)
        if before is not None and before.state == "present":
            del self.at[before.folder, before.name]
        if item.state == "present":
            self.at[item.folder, item.name] = item
        self.known[item.id] = item
        self.touched[item.id] = None
        return item


def _clash(expect: int | None, there: ItemRow | None) -> str:
    if there is None:
        return f"version {expect} is not there any more"
    return "the key is taken" if expect is None else f"version {there.version} is there"
