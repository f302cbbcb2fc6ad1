"""Where paths belong in the dataset: the column `key`, which no two rows share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence

from syncd.state.row import RENAMED, Row, select
from syncd.state.troubles import split


class Names:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def holders(self, keys: Sequence[str]) -> dict[str, Row]:
        """Which rows hold these keys."""
        rows = select(self._sql, "key IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
        return {row.key: row for row in rows if row.key}

    def place(self, keys: Iterable[tuple[str, str | None]]) -> None:
        """Record where paths belong: (path, key)."""
        keys = list(keys)
        self._sql.executemany(
            "UPDATE files SET key = ? WHERE dir = ? AND name = ?",
            [(key, *split(path)) for path, key in keys],
        )

    def place_free(self, keys: Mapping[str, str]) -> bool:
        """Record keys that nobody is known to want; where one is held, record none of them."""
        rows = [(key, *split(path)) for path, key in keys.items()]
        self._sql.execute("SAVEPOINT placing")
        placed = self._sql.executemany(
            "UPDATE OR IGNORE files SET key = ? WHERE dir = ? AND name = ?", rows
        ).rowcount
        if placed != len(rows):
            self._sql.execute("ROLLBACK TO placing")
        self._sql.execute("RELEASE placing")
        return placed == len(rows)

    def evict(self, path: str, key: str) -> None:
        """Take the key from whichever other path holds it; that path is placed anew."""
        self._sql.execute(
            "UPDATE files SET key = NULL, due = coalesce(due, 0)"
            " WHERE key = ? AND NOT (dir = ? AND name = ?)",
            (key, *split(path)),
        )

    def unplace_all(self, due: int) -> None:
        """Forget where everything belongs and decide anew: the layout changed."""
        self._sql.execute("UPDATE files SET key = NULL, due = ?", (due,))

    def unplace(self, paths: Iterable[str]) -> None:
        """Forget where these belong; whoever looks at them decides anew."""
        self._sql.executemany(
            "UPDATE files SET key = NULL WHERE dir = ? AND name = ?",
            [split(path) for path in paths],
        )

    def renamed(self, paths: Collection[str] = ()) -> int:
        """How many files are stored under another name than their own; of these, where some are
        named."""
        count = f"SELECT count(*) FROM files WHERE {RENAMED}"  # noqa: S608
        if not paths:
            return int(self._sql.execute(count).fetchone()[0])
        one = f"{count} AND dir = ? AND name = ?"
        return sum(self._sql.execute(one, split(path)).fetchone()[0] for path in paths)
