"""What was seen on disk: the observations in `files`, and the rows as values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping

from syncd.model import Stat
from syncd.state.row import OPEN, Row, select
from syncd.state.troubles import split

_EACH = "SELECT value FROM json_each(?)"

# Where a file in sync is replaced by another, how it looked is kept: it may be elsewhere now.
_SEE = """
INSERT INTO files (dir, name, size, mtime_ns, inode, due) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (dir, name) DO UPDATE SET
  (was_size, was_mtime_ns, was_inode) = (SELECT
    CASE WHEN replaced THEN size ELSE was_size END,
    CASE WHEN replaced THEN mtime_ns ELSE was_mtime_ns END,
    CASE WHEN replaced THEN inode ELSE was_inode END
    FROM (SELECT digest = stored_digest AND (size, mtime_ns, inode) <>
      (excluded.size, excluded.mtime_ns, excluded.inode) AS replaced)),
  digest = CASE WHEN (size, mtime_ns, inode) =
    (excluded.size, excluded.mtime_ns, excluded.inode) THEN digest END,
  size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
  gone = NULL, due = excluded.due
"""


class Files:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def observed(self, folder: str) -> dict[str, Stat]:
        """What is known to be in one folder, without its subfolders."""
        rows = self._sql.execute(
            "SELECT name, size, mtime_ns, inode FROM files WHERE dir = ? AND gone IS NULL",
            (folder,),
        )
        return {name: (size, mtime, inode) for name, size, mtime, inode in rows}

    def see(self, folder: str, seen: Mapping[str, Stat], due: int) -> None:
        """Record files as they are now; each is to be decided at `due`."""
        self._sql.executemany(_SEE, [(folder, name, *stat, due) for name, stat in seen.items()])

    def miss(self, folder: str, names: Iterable[str], now: int, due: int | None) -> None:
        """Record files as gone; those that were never stored are forgotten at once."""
        gone = [(folder, name) for name in names]
        self._sql.executemany(
            "DELETE FROM files WHERE dir = ? AND name = ? AND item_id IS NULL", gone
        )
        self._sql.executemany(
            "UPDATE files SET gone = ?, due = ? WHERE dir = ? AND name = ?",
            [(now, due, *path) for path in gone],
        )
        self._sql.executemany("DELETE FROM troubles WHERE dir = ? AND name = ?", gone)

    def read(self, path: str, stat: Stat, digest: str, due: int | None) -> None:
        """Record the digest of a file's content as read."""
        self._sql.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, inode = ?, digest = ?, due = ?"
            " WHERE dir = ? AND name = ?",
            (*stat, digest, due, *split(path)),
        )

    def row(self, path: str) -> Row | None:
        found = select(self._sql, "dir = ? AND name = ?", split(path))
        return found[0] if found else None

    def vanished(self, stats: Iterable[Stat]) -> list[Row]:
        """Rows whose file left them and may be one of these: by inode, or, if gone, by size."""
        wanted = list(stats)
        inodes = json.dumps([stat[2] for stat in wanted])
        sizes = json.dumps([stat[0] for stat in wanted])
        found = [
            *select(self._sql, f"gone IS NOT NULL AND inode IN ({_EACH})", (inodes,)),
            *select(self._sql, f"gone IS NOT NULL AND size IN ({_EACH}) LIMIT 5000", (sizes,)),
            *select(self._sql, f"was_inode IN ({_EACH})", (inodes,)),
        ]
        return list({row.path: row for row in found}.values())

    def unsettled_as(self, stat: Stat) -> list[Row]:
        """Rows that look like this now, and are not stored so: replaced by it, or new."""
        looks = "gone IS NULL AND (inode, size, mtime_ns) = (?, ?, ?)"
        values = (stat[2], stat[0], stat[1])
        return select(self._sql, f"was_inode IS NOT NULL AND {looks}", values) or select(
            self._sql, f"item_id IS NULL AND {looks}", values
        )

    def open_as(self, stats: Iterable[Stat]) -> dict[Stat, Row]:
        """Rows that look like one of these now, are not stored so, and have no trouble."""
        inodes = json.dumps([stat[2] for stat in stats])
        open = f"{OPEN} AND gone IS NULL AND inode IN ({_EACH})"
        well = "(dir, name) NOT IN (SELECT dir, name FROM troubles)"
        return {row.stat: row for row in select(self._sql, f"{open} AND {well}", (inodes,))}

    def unstored(self, size: int, digest: str, but: str) -> bool:
        """Some file without a receipt, other than `but`, has this content or may have it."""
        found = self._sql.execute(
            "SELECT EXISTS (SELECT 1 FROM files WHERE item_id IS NULL AND gone IS NULL AND size = ?"
            " AND (digest IS NULL OR digest = ?) AND NOT (dir = ? AND name = ?))",
            (size, digest, *split(but)),
        )
        return bool(found.fetchone()[0])

    def anything_left(self) -> bool:
        """Some file that was seen before has left its name, and may have another now."""
        found = self._sql.execute(
            "SELECT EXISTS (SELECT 1 FROM files WHERE gone IS NOT NULL)"
            " OR EXISTS (SELECT 1 FROM files WHERE was_inode IS NOT NULL)"
        )
        return bool(found.fetchone()[0])

    def unsent(self) -> list[str]:
        """Paths that are there but have no receipt for their content."""
        rows = self._sql.execute(
            f"SELECT dir, name FROM files WHERE {OPEN} AND gone IS NULL ORDER BY dir, name"  # noqa: S608
        )
        return [f"{folder}/{name}" if folder else name for folder, name in rows]

    def forget(self, paths: Iterable[str]) -> None:
        """Drop rows with their receipts and troubles."""
        pairs = [split(path) for path in paths]
        self._sql.executemany("DELETE FROM files WHERE dir = ? AND name = ?", pairs)
        self._sql.executemany("DELETE FROM troubles WHERE dir = ? AND name = ?", pairs)
