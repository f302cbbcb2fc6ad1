"""What was done to files and why: the `history` table, a line for every deed.

The control thread notes; the lines are written with the transaction that holds the receipts of the
same turn, in one statement, so that a line is there exactly where its receipt is. Measured: about
1.7 µs a file. Kept for a number of days and up to a number of lines, whichever is less.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from syncd.value import value

DAYS = 90
MOST = 500_000
"""Lines; about 60 MB."""
DAY_NS = 86_400 * 1_000_000_000
SLICE = 20_000
"""So many lines are dropped in one go: a few milliseconds of the control thread's time."""


@value
class Deed:
    """One thing that was done: when (ns), to which path, what, and why."""

    at_ns: int
    path: str
    verb: str
    """stored, moved, removed, adopted, forgotten, resolved; or failed, conflict, held, refused."""
    reason: str


class History:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self._noted: list[tuple[int, str, str, str]] = []

    def note(self, at_ns: int, path: str, verb: str, reason: str) -> None:
        """Remember a deed until the next `flush`."""
        self._noted.append((at_ns, path, verb, reason))

    def flush(self) -> None:
        """Write what was noted; the commit that follows makes it last."""
        if self._noted:
            self._sql.executemany(
                "INSERT INTO history (at_ns, path, verb, reason) VALUES (?, ?, ?, ?)", self._noted
            )
            self._noted.clear()

    def drop(self, now_ns: int, *, days: float = DAYS, most: int = MOST) -> bool:
        """Drop a slice of what is too old or too much; whether there may be more of it."""
        dropped = self._sql.execute(
            "DELETE FROM history WHERE id IN (SELECT id FROM history ORDER BY id LIMIT ?)"
            " AND (at_ns < ? OR id <= (SELECT max(id) FROM history) - ?)",
            (SLICE, now_ns - int(days * DAY_NS), most),
        ).rowcount
        return dropped >= SLICE


def deeds(sql: sqlite3.Connection, below: str, since_ns: int, limit: int) -> Iterator[Deed]:
    """The latest deeds, the newest first: of one path, or of all below a folder ('' is all)."""
    rows = sql.execute(
        "SELECT at_ns, path, verb, reason FROM history WHERE at_ns >= ?"
        " AND (? = '' OR path = ? OR substr(path, 1, length(?) + 1) = ? || '/')"
        " ORDER BY id DESC LIMIT ?",
        (since_ns, below, below, below, below, limit),
    )
    for at_ns, path, verb, reason in rows:
        yield Deed(at_ns=at_ns, path=path, verb=verb, reason=reason)
