"""One row of `files` as a value: a local path with its observation and its receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from syncd.model import Local, Receipt, Stat

COLUMNS = (
    "dir, name, size, mtime_ns, inode, gone, digest, key,"
    " item_id, version, stored_key, stored_digest, stored_ns, due"
)


@dataclass(frozen=True, slots=True, kw_only=True)
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

    @property
    def local(self) -> Local | None:
        return None if self.gone else Local(stat=self.stat, digest=self.digest)


def from_values(values: Sequence[Any]) -> Row:
    """A row from its columns, in the order of `COLUMNS`."""
    (folder, name, size, mtime, inode, gone, digest, key,
     item, version, stored_key, stored_digest, stored_ns, due) = values  # fmt: skip
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
    )
