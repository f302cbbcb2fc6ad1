"""What the remote holds beside the receipts: the `items` table.

Foreign items, items changed there, tombstones. An item that is just what a receipt says has no
row here, so the table is empty for a dataset that only this mirror feeds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from syncd.model import Item, ItemState, Receipt

TOMBSTONES = 500_000
"""About 100 MB; only those that a file here has to do with may be more."""
SLICE = 20_000
NEIGHBOURS = 1_000
"""So many names that begin alike are looked through, for each file whose name is taken."""


class Overlay:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def learn(self, items: Iterable[Item], due: int) -> None:
        """Record items that differ from the receipts; whoever is concerned by news becomes due."""
        told = list(items)
        known = self.of([i.id for i in told])
        rows = [
            i
            for i in told
            if known.get(i.id) != replace(i, content_type=None, metadata={}, annotated=0)
        ]
        keys = self._keys([i.id for i in rows])
        self._sql.executemany(
            "INSERT OR REPLACE INTO items (id, key, version, digest, size, state, by, modified_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (i.id, i.key, i.version, i.digest, i.size, i.state.value, i.by, i.modified_ns)
                for i in rows
            ],
        )
        self._wake([i.id for i in rows], {*keys, *(i.key for i in rows)}, due)

    def forget(self, ids: Sequence[str], due: int) -> None:
        """These are as the receipts say, or nobody's; whoever was concerned becomes due."""
        known = list(self.of(ids)) if ids and not self.empty() else []
        if known:
            self._wake(known, self._keys(known), due)
            self.agree(known)

    def _keys(self, ids: Sequence[str]) -> list[str]:
        rows = self._sql.execute(
            "SELECT key FROM items WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),)
        )
        return [row[0] for row in rows]

    def _wake(self, ids: Iterable[str], keys: Iterable[str], due: int) -> None:
        """Make due whose item it is, who waits under the key, and whose trouble the key is."""
        wanted = [(due, key) for key in keys]
        self._sql.executemany(
            "UPDATE files SET due = ? WHERE item_id = ?", [(due, id) for id in ids]
        )
        self._sql.executemany("UPDATE files SET due = ? WHERE key = ? AND item_id IS NULL", wanted)
        self._sql.executemany(
            "UPDATE files SET due = ? WHERE (dir, name) IN"
            " (SELECT dir, name FROM troubles WHERE key = ?)",
            wanted,
        )

    def empty(self) -> bool:
        """The remote holds nothing but what the receipts say."""
        return self._sql.execute("SELECT 1 FROM items LIMIT 1").fetchone() is None

    def agree(self, ids: Iterable[str]) -> None:
        """The remote holds these as the receipts say."""
        self._sql.executemany("DELETE FROM items WHERE id = ?", [(i,) for i in ids])

    def absent(self, receipt: Receipt, due: int) -> None:
        """The remote was proven to hold nothing for this receipt, not even a tombstone."""
        self._sql.execute(
            "INSERT OR REPLACE INTO items (id, key, state, by) VALUES (?, ?, 'absent', '')",
            (receipt.id, receipt.key),
        )
        self._sql.execute("UPDATE files SET due = ? WHERE item_id = ?", (due, receipt.id))

    def drop(self, most: int = TOMBSTONES) -> bool:
        """Drop a slice of what is not needed any more; whether there may be more of it.

        That an item is absent matters to its receipt alone. A tombstone matters to its receipt and
        to whoever has its key; where there is neither, it keeps the same file from being sent again
        should it turn up. Of more than `most` tombstones such ones go, those stored first.
        """
        (buried,) = self._sql.execute(
            "SELECT count(*) FROM items WHERE state <> 'present' AND state <> 'absent'"
        ).fetchone()
        absent = self._drop(f"state = 'absent' AND {_NO_RECEIPT}", SLICE)
        too_many = min(SLICE, max(0, buried - most))
        dropped = self._drop(
            f"state <> 'present' AND state <> 'absent' AND {_NO_RECEIPT} AND {_NO_NAME}", too_many
        )
        return SLICE in (absent, dropped)

    def _drop(self, which: str, slice: int) -> int:
        chosen = f"SELECT id FROM items WHERE {which} ORDER BY id LIMIT ?"  # noqa: S608
        return self._sql.execute(f"DELETE FROM items WHERE id IN ({chosen})", (slice,)).rowcount  # noqa: S608

    def of(self, ids: Sequence[str]) -> dict[str, Item | None]:
        """What is known of these items beyond the receipts; None: proven absent."""
        rows = self._sql.execute(
            "SELECT id, key, version, digest, size, state, by, modified_ns FROM items"
            " WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),),
        )
        return {values[0]: _item(values) for values in rows}

    def stored(self, digest: str, before: str, after: str) -> list[Item]:
        """Present items with this content whose keys begin with `before` and end with `after`; of
        very many that begin so, only the first are looked at."""
        rows = self._sql.execute(
            "SELECT * FROM (SELECT id, key, version, digest, size, state, by, modified_ns"
            " FROM items WHERE key >= ? AND key < ? ORDER BY key LIMIT ?)"
            " WHERE digest = ? AND state = 'present'",
            (before, before[:-1] + chr(ord(before[-1]) + 1), NEIGHBOURS, digest),
        )
        found = [_item(values) for values in rows]
        return [item for item in found if item and item.key.endswith(after)]

    def at(self, keys: Sequence[str]) -> dict[str, Item]:
        """Items known at these keys beyond the receipts; a present one before a tombstone."""
        rows = self._sql.execute(
            "SELECT id, key, version, digest, size, state, by, modified_ns FROM items"
            " WHERE state <> 'absent' AND key IN (SELECT value FROM json_each(?))"
            " ORDER BY state = 'present', id",
            (json.dumps(keys),),
        )
        return {item.key: item for values in rows if (item := _item(values))}


_NO_RECEIPT = "NOT EXISTS (SELECT 1 FROM files WHERE item_id = items.id)"
_NO_NAME = (
    "NOT EXISTS (SELECT 1 FROM files WHERE key = items.key)"
    " AND NOT EXISTS (SELECT 1 FROM troubles WHERE key = items.key)"
)


def _item(values: Sequence[Any]) -> Item | None:
    item, key, version, digest, size, state, by, modified = values
    if state == "absent":
        return None
    return Item(
        id=item, key=key, version=version, digest=digest, size=size, state=ItemState(state), by=by,
        modified_ns=modified,
    )  # fmt: skip
