"""When rows are next to be decided: the column `due`, the only thing pending that is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from syncd.state.row import OPEN, PARKED, Row, select
from syncd.state.troubles import split
from syncd.value import value

FEW = 10_000


@value
class Pending:
    """What waits to be decided."""

    files: int
    first_ns: int | None
    """When the first of them is or was due."""
    bytes: int | None
    """What they weigh, but for what is gone; None where to sum that up would take long."""


class Agenda:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def due(self, now: int, limit: int, after: tuple[int, str, str]) -> list[Row]:
        """Rows to decide by `now`, oldest first, behind `after`: (due, dir, name)."""
        return select(
            self._sql,
            "due <= ? AND (due, dir, name) > (?, ?, ?) ORDER BY due, dir, name LIMIT ?",
            (now, *after, limit),
        )

    def next_due(self, after: tuple[int, str, str] = (-1, "", "")) -> int | None:
        """When the next row behind `after` is due, in ns."""
        found = self._sql.execute(
            "SELECT due FROM files WHERE due >= ? AND (due, dir, name) > (?, ?, ?)"
            " ORDER BY due, dir, name LIMIT 1",
            (after[0], *after),
        ).fetchone()
        return found[0] if found else None

    def pending(self) -> Pending:
        """What waits to be decided, but for what is parked."""
        number, first = self._sql.execute(
            "SELECT count(*), min(due) FROM files WHERE due < ?", (PARKED,)
        ).fetchone()
        if number > FEW:
            return Pending(files=number, first_ns=first, bytes=None)
        (size,) = self._sql.execute(
            "SELECT sum(size) FROM files WHERE due < ? AND gone IS NULL", (PARKED,)
        ).fetchone()
        return Pending(files=number, first_ns=first, bytes=size or 0)

    def wake(self, due: int, paths: Iterable[str]) -> None:
        """Make these rows due."""
        self._sql.executemany(
            "UPDATE files SET due = ? WHERE dir = ? AND name = ?",
            [(due, *split(path)) for path in paths],
        )

    def wake_troubled(self, due: int) -> None:
        """Make every row due that failed, conflicts, is held or refused."""
        self._sql.execute(
            "UPDATE files SET due = ? WHERE (dir, name) IN (SELECT dir, name FROM troubles)",
            (due,),
        )

    def wake_gone(self, due: int) -> None:
        """Make every vanished row due: their removal was held back, or another run's."""
        self._sql.execute("UPDATE files SET due = ? WHERE gone IS NOT NULL", (due,))

    def wake_open(self, due: int) -> None:
        """Make due what has no receipt for its content and no reason not to: nothing is lost
        to a run that ended between two lines, or with things parked."""
        self._unpark()
        self._sql.execute(
            f"UPDATE files SET due = ? WHERE {OPEN} AND due IS NULL AND gone IS NULL"  # noqa: S608
            " AND (item_id IS NULL OR digest IS NULL) AND (dir, name) NOT IN"
            " (SELECT dir, name FROM troubles WHERE retry_ns IS NULL)",
            (due,),
        )

    def hurry(self, due: int, beyond: int) -> None:
        """What is there and waits for longer than `beyond` becomes due sooner."""
        self._sql.execute("UPDATE files SET due = ? WHERE due > ? AND gone IS NULL", (due, beyond))

    def shift(self, by: int) -> None:
        """The clock was set: everything that waits does so for as long as it would have."""
        self._sql.execute("UPDATE files SET due = due + ? WHERE due < ?", (by, PARKED))

    @contextmanager
    def parked(self) -> Iterator[None]:
        """Nothing is due within, but what is woken then."""
        self._sql.execute("UPDATE files SET due = due + ? WHERE due < ?", (PARKED, PARKED))
        try:
            yield
        finally:
            self._unpark()

    def _unpark(self) -> None:
        self._sql.execute("UPDATE files SET due = due - ? WHERE due >= ?", (PARKED, PARKED))

    def settle_gone(self, after: int) -> None:
        """Nothing to do for what was found missing after this time (ns)."""
        self._sql.execute("UPDATE files SET due = NULL WHERE gone > ?", (after,))

    def settle(self, path: str, due: int | None = None) -> None:
        """Nothing to do for this path, or not before `due`."""
        self._sql.execute(
            "UPDATE files SET due = ? WHERE dir = ? AND name = ?", (due, *split(path))
        )
