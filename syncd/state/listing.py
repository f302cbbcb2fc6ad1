"""A full listing of the remote, held against the receipts: which items are nowhere any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from syncd.model import Receipt


class Listing:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def begin(self) -> None:
        """Start to compare every receipt with what the remote is going to list."""
        self._sql.execute("CREATE TEMP TABLE IF NOT EXISTS listed (id TEXT PRIMARY KEY)")
        self._sql.execute("DELETE FROM listed")

    def add(self, ids: Iterable[str]) -> None:
        """The remote has these."""
        self._sql.executemany("INSERT OR IGNORE INTO listed VALUES (?)", [(i,) for i in ids])

    def missing(self, began: int, now: int) -> list[Receipt]:
        """Receipts that the listing did not bring up, but for those from between the two times
        (ns): their items may be too new for it. One from later is from before a clock was set."""
        rows = self._sql.execute(
            "SELECT stored_key, item_id, version, stored_digest, stored_ns FROM files"
            " WHERE item_id IS NOT NULL AND stored_ns NOT BETWEEN ? AND ?"
            " AND item_id NOT IN (SELECT id FROM listed)",
            (began, now),
        ).fetchall()
        return [
            Receipt(key=key, id=id, version=version, digest=digest, stored_ns=stored)
            for key, id, version, digest, stored in rows
        ]

    def strangers(self) -> list[str]:
        """Items known beyond the receipts that the listing did not bring up either."""
        rows = self._sql.execute(
            "SELECT id FROM items WHERE state <> 'absent' AND id NOT IN (SELECT id FROM listed)"
        )
        return [row[0] for row in rows]
