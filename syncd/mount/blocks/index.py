"""Which blocks lie where in the cache's segments, in an SQLite file beside them.

Called by `cache` under its lock. A row is written after its bytes, but nothing is synced: after a
power cut rows and bytes may not fit each other, and the checksum in the row is what tells. Whoever
finds the file damaged throws the whole cache away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS blocks (
    name BLOB NOT NULL, block INTEGER NOT NULL, segment INTEGER NOT NULL,
    offset INTEGER NOT NULL, length INTEGER NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (name, block)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blocks_segment ON blocks (segment);
CREATE TABLE IF NOT EXISTS wholes (name BLOB PRIMARY KEY) WITHOUT ROWID;
"""


FILE = "index.db"


class Place(NamedTuple):
    """Where a block's bytes lie, and the checksum they must have."""

    segment: int
    offset: int
    length: int
    sum: int


Row = tuple[bytes, int, int, int, int, int]


class Index:
    """The index file; every method may raise sqlite3.Error."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA cache_size = -8192")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error:
            self._db.close()
            raise

    @classmethod
    def read_only(cls, file: Path) -> Index:
        """An index that another program writes; only to find in."""
        made = cls.__new__(cls)
        made._db = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=0.1
        )
        return made

    def close(self) -> None:
        self._db.close()

    def find(self, name: bytes, block: int) -> Place | None:
        found = self._db.execute(
            "SELECT segment, offset, length, sum FROM blocks WHERE name = ? AND block = ?",
            (name, block),
        ).fetchone()
        return Place(*found) if found else None

    def add(self, rows: Sequence[Row]) -> None:
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?)", rows)

    def drop(self, name: bytes) -> None:
        """Forget all blocks of one content."""
        with self._transaction():
            self._db.execute("DELETE FROM blocks WHERE name = ?", (name,))
            self._db.execute("DELETE FROM wholes WHERE name = ?", (name,))

    def blocks(self, name: bytes) -> set[int]:
        found = self._db.execute("SELECT block FROM blocks WHERE name = ?", (name,))
        return {block for (block,) in found}

    def whole(self, name: bytes) -> bool:
        """Whether the content was found to be what its digest says, in its full length."""
        found = self._db.execute("SELECT 1 FROM wholes WHERE name = ?", (name,))
        return found.fetchone() is not None

    def mark_whole(self, name: bytes) -> None:
        self._db.execute("INSERT OR IGNORE INTO wholes VALUES (?)", (name,))

    # -- segments

    def segments(self) -> set[int]:
        return {number for (number,) in self._db.execute("SELECT number FROM segments")}

    def add_segment(self, number: int) -> None:
        self._db.execute("INSERT OR IGNORE INTO segments VALUES (?)", (number,))

    def within(self, segment: int, names: Sequence[bytes]) -> list[tuple[bytes, int, Place]]:
        """What a segment holds of these contents."""
        found = []
        for name in names:
            rows = self._db.execute(
                "SELECT block, segment, offset, length, sum FROM blocks "
                "WHERE name = ? AND segment = ?",
                (name, segment),
            )
            found += [(name, row[0], Place(*row[1:])) for row in rows]
        return found

    def drop_segment(self, number: int) -> None:
        with self._transaction():
            self._db.execute(
                "DELETE FROM wholes WHERE name IN (SELECT name FROM blocks WHERE segment = ?)",
                (number,),
            )
            self._db.execute("DELETE FROM blocks WHERE segment = ?", (number,))
            self._db.execute("DELETE FROM segments WHERE number = ?", (number,))

    def _transaction(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db
