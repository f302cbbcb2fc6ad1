"""Which folders hold known files, and the prints of those that are just what a scan saw."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

# From one folder to the next by the index, instead of over every file.
_EVERY_FOLDER = """
WITH RECURSIVE every(dir) AS (
  SELECT min(dir) FROM files
  UNION ALL
  SELECT (SELECT min(dir) FROM files WHERE dir > every.dir) FROM every WHERE dir IS NOT NULL
)
SELECT dir FROM every WHERE dir IS NOT NULL
"""


class Folders:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def below(self, folder: str) -> Iterator[str]:
        """Every folder at or below `folder` that has known files, in order."""
        if folder == "":
            rows = self._sql.execute(_EVERY_FOLDER)
        else:
            # '0' is the character after '/': the range holds exactly what lies below.
            rows = self._sql.execute(
                "SELECT DISTINCT dir FROM files"
                " WHERE (dir = ? OR (dir > ? AND dir < ?)) AND gone IS NULL",
                (folder, f"{folder}/", f"{folder}0"),
            )
        return (row[0] for row in rows.fetchall())

    def any_at(self, path: str) -> bool:
        """Whether a folder of this name may hold known files: cheap, and now and then wrong."""
        found = self._sql.execute(
            "SELECT EXISTS (SELECT 1 FROM files WHERE dir >= ? AND dir < ?)", (path, f"{path}0")
        )
        return bool(found.fetchone()[0])

    def print_of(self, folder: str) -> str | None:
        """The print kept for a folder; None where a row of it changed since."""
        found = self._sql.execute("SELECT print FROM folders WHERE dir = ?", (folder,)).fetchone()
        return str(found[0]) if found else None

    def keep_print(self, folder: str, print_: str) -> None:
        """Remember the print of a listing that is just what the rows of the folder say."""
        self._sql.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (folder, print_))
