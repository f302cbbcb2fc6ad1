"""One row of `files` as a value: a local path with its observation and its receipt."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from syncd.model import Local, Receipt, Stat
from syncd.value import value

COLUMNS = (
    "dir, name, size, mtime_ns, inode, gone, digest, key,"
    " item_id, version, stored_key, stored_digest, stored_ns, due,"
    " was_size, was_mtime_ns, was_inode"
)

OPEN = "(item_id IS NULL OR digest IS NULL OR digest <> stored_digest)"
"""True of a file that is not stored as it is now; an index has just these."""
RENAMED = "gone IS NULL AND key <> name AND substr(key, -length(name) - 1) <> '/' || name"
"""True of a file that is stored under another name than its own; an index has just these."""


PARKED = 1 << 62
"""Added to what is due, in ns, where a run leaves a row to a later one: nothing is due as late."""


@value
class Row:
    """One local path with its observation and its receipt."""

    dir: str
    name: str
    path: str
    stat: Stat
    gone: int | None
    digest: str | None
    key: str | None
    receipt: Receipt | None
    due: int | None
    was: Stat | None
    """How the file looked when it was what the receipt says, where it has changed since."""

    @property
    def pending(self) -> bool:
        """Whether it is to be decided in this run."""
        return self.due is not None and self.due < PARKED

    @property
    def kept(self) -> Stat | None:
        """How the file of the receipt looked when it was last here, where it is here no more."""
        if self.receipt is None:
            return None
        if self.digest == self.receipt.digest:
            return self.stat if self.gone else None
        return self.was

    @property
    def displaced(self) -> bool:
        """Something else has this name now: the content that was stored may be elsewhere."""
        return not self.gone and self.kept not in (None, self.stat)

    @property
    def local(self) -> Local | None:
        return None if self.gone else Local(stat=self.stat, digest=self.digest)


def from_values(values: Sequence[Any]) -> Row:
    """A row from its columns, in the order of `COLUMNS`."""
    (folder, name, size, mtime, inode, gone, digest, key,
     item, version, stored_key, stored_digest, stored_ns, due,
     *was) = values  # fmt: skip
    receipt = None
    if item is not None:
        receipt = Receipt(
            key=stored_key, id=item, version=version, digest=stored_digest, stored_ns=stored_ns
        )
    return Row(
        dir=folder,
        name=name,
        path=f"{folder}/{name}" if folder else name,
        stat=(size, mtime, inode),
        gone=gone,
        digest=digest,
        key=key,
        receipt=receipt,
        due=due,
        was=None if was[0] is None else (was[0], was[1], was[2]),
    )


def select(sql: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Row]:
    """The rows of `files` for which a condition holds."""
    found = sql.execute(f"SELECT {COLUMNS} FROM files WHERE {where}", values)  # noqa: S608
    return [from_values(values) for values in found]
