"""What the remote gave proof of: the receipts in `files`. One item, one receipt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from syncd.model import Item, Receipt, Stat
from syncd.state.files import Files
from syncd.state.names import Names
from syncd.state.row import Row, select
from syncd.state.troubles import split

ORPHANS = ".syncd-orphans"
"""The folder of rows that stand for no path: a name that no file of a user has."""

_NO_RECEIPT = (
    "UPDATE files SET item_id = NULL, version = NULL, stored_key = NULL, stored_digest = NULL,"
    " stored_ns = NULL, was_size = NULL, was_mtime_ns = NULL, was_inode = NULL"
)
# As the file was when it was decided, which is nearly always: an update that leaves its looks alone
# leaves alone the indexes of looks, too, and takes a fifth less time.
_AGREE = (
    "UPDATE files SET digest = ?, item_id = ?, version = ?, stored_key = ?, stored_digest = ?,"
    " stored_ns = ?, due = NULL"
    " WHERE dir = ? AND name = ? AND key = ? AND (size, mtime_ns, inode) = (?, ?, ?)"
    " AND was_inode IS NULL"
)
_AGREE_ANEW = (
    "UPDATE files SET size = ?, mtime_ns = ?, inode = ?, digest = ?, item_id = ?, version = ?,"
    " stored_key = ?, stored_digest = ?, stored_ns = ?, due = NULL,"
    " was_size = NULL, was_mtime_ns = NULL, was_inode = NULL"
    " WHERE dir = ? AND name = ? AND key = ?"
)
_DISOWN = f"{_NO_RECEIPT} WHERE dir = ? AND name = ?"
_RELEASE = f"{_NO_RECEIPT}, due = coalesce(due, 0) WHERE item_id = ?"
_ABANDON = (
    "INSERT OR IGNORE INTO items (id, key, version, digest, state, by)"
    " SELECT item_id, stored_key, version, stored_digest, 'present', '' FROM files"
    " WHERE dir = ? AND name = ? AND item_id IS NOT NULL"
)


class Receipts:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection, files: Files, names: Names) -> None:
        self._sql = sql
        self._files = files
        self._names = names

    def agree(self, agreed: Iterable[tuple[str, Stat, Receipt]]) -> None:
        """Record receipts: (path, stat of the content stored, receipt). The rows are settled."""
        rows = [(split(path), stat, r) for path, stat, r in agreed]
        try:
            self._agree(rows)
        except sqlite3.IntegrityError:
            # Another path has such a key or item: it is theirs who were told last.
            for path, _, receipt in rows:
                self._names.evict("/".join(filter(None, path)), receipt.key)
                self._release(receipt.id)
            self._agree(rows)

    def _agree(self, rows: Sequence[tuple[tuple[str, str], Stat, Receipt]]) -> None:
        told = [
            ((r.digest, r.id, r.version, r.key, r.digest, r.stored_ns, *path, r.key), stat)
            for path, stat, r in rows
        ]
        agreed = self._sql.executemany(_AGREE, [(*values, *stat) for values, stat in told])
        if agreed.rowcount < len(rows):
            self._names.place(("/".join(filter(None, path)), r.key) for path, _, r in rows)
            self._sql.executemany(_AGREE_ANEW, [(*stat, *values) for values, stat in told])
        if self._sql.execute("SELECT 1 FROM troubles LIMIT 1").fetchone():
            self._sql.executemany(
                "DELETE FROM troubles WHERE dir = ? AND name = ?", [path for path, _, _ in rows]
            )

    def receive(self, path: str, stat: Stat, receipt: Receipt, due: int) -> None:
        """Record a receipt for content the file no longer has: it is decided again."""
        self.own(path, receipt, stat)
        self._sql.execute(
            "UPDATE files SET digest = NULL, due = ? WHERE dir = ? AND name = ?",
            (due, *split(path)),
        )

    def own(self, path: str, receipt: Receipt, was: Stat | None = None) -> None:
        """Write a receipt, and leave the observation as it is; `was` is how the file of the
        receipt looked, where it is not the one that is there."""
        self._release(receipt.id)
        self._sql.execute(
            "UPDATE files SET item_id = ?, version = ?, stored_key = ?, stored_digest = ?,"
            " stored_ns = ?, was_size = ?, was_mtime_ns = ?, was_inode = ?"
            " WHERE dir = ? AND name = ?",
            (receipt.id, receipt.version, receipt.key, receipt.digest, receipt.stored_ns,
             *(was or (None, None, None)), *split(path)),
        )  # fmt: skip

    def orphan(self, item: Item, now: int, due: int) -> None:
        """An item that we stored, but never heard so, of a file that has left its name since: a
        vanished row without a path, so that it follows the file or goes as any other would."""
        self._sql.execute(
            "INSERT OR REPLACE INTO files (dir, name, size, mtime_ns, inode, gone, digest, item_id,"
            " version, stored_key, stored_digest, stored_ns, due)"
            " VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            (ORPHANS, item.id, item.size or 0, now, item.digest, item.id, item.version, item.key,
             item.digest, now, due),
        )  # fmt: skip

    def disown(self, path: str) -> None:
        """Drop the receipt, and leave the observation and the place as they are."""
        self._sql.execute(_DISOWN, split(path))

    def _release(self, id: str) -> None:
        """An item has one receipt: whose it was before is decided anew."""
        self._sql.execute(_RELEASE, (id,))

    def abandon(self, paths: Iterable[str]) -> None:
        """Drop rows, but remember that their items are there: they are nobody's now."""
        paths = list(paths)
        self._sql.executemany(_ABANDON, [split(path) for path in paths])
        self._files.forget(paths)

    def by_item(self, ids: Sequence[str]) -> dict[str, Row]:
        """Which rows have receipts for these items."""
        rows = select(self._sql, "item_id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
        return {row.receipt.id: row for row in rows if row.receipt}

    def removals(self) -> list[Row]:
        """Gone rows that still have a receipt, in path order."""
        return select(self._sql, "gone IS NOT NULL AND item_id IS NOT NULL ORDER BY dir, name", ())

    def anything_stored(self) -> bool:
        """Some file has a receipt."""
        found = self._sql.execute("SELECT 1 FROM files WHERE item_id IS NOT NULL LIMIT 1")
        return found.fetchone() is not None

    def count_gone(self, after: int) -> int:
        """How many rows with a receipt were found missing after this time (ns)."""
        found = self._sql.execute(
            "SELECT count(*) FROM files WHERE gone > ? AND item_id IS NOT NULL", (after,)
        )
        return int(found.fetchone()[0])

    def count(self) -> tuple[int, int]:
        """How many rows have a receipt, and how many of those are gone."""
        found = self._sql.execute(
            "SELECT count(*), count(gone) FROM files WHERE item_id IS NOT NULL"
        ).fetchone()
        return int(found[0]), int(found[1])
