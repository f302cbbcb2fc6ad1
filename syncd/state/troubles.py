"""Why rows are not in sync: the `troubles` table, for status and for back-off over restarts."""

from __future__ import annotations

import sqlite3

from syncd.value import value


@value
class Trouble:
    """Why a path is not in sync; `retry_ns` None means: not before something changes."""

    path: str
    kind: str
    reason: str
    key: str | None = None
    tries: int = 1
    since_ns: int = 0
    retry_ns: int | None = None


def split(path: str) -> tuple[str, str]:
    """A path as the (dir, name) the tables are keyed by."""
    folder, _, name = path.rpartition("/")
    return folder, name


class Troubles:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def note(self, trouble: Trouble) -> None:
        """Record why a known path is not in sync, and when it is to be decided again."""
        self._sql.execute(
            "INSERT INTO troubles (dir, name, kind, key, reason, tries, since_ns, retry_ns)"
            " SELECT dir, name, ?, ?, ?, ?, ?, ? FROM files WHERE dir = ? AND name = ?"
            " ON CONFLICT (dir, name) DO UPDATE SET"
            " kind = excluded.kind, key = excluded.key, reason = excluded.reason,"
            " tries = excluded.tries, retry_ns = excluded.retry_ns",
            (trouble.kind, trouble.key, trouble.reason, trouble.tries, trouble.since_ns,
             trouble.retry_ns, *split(trouble.path)),
        )  # fmt: skip
        self._sql.execute(
            "UPDATE files SET due = ? WHERE dir = ? AND name = ?",
            (trouble.retry_ns, *split(trouble.path)),
        )

    def all(self) -> list[Trouble]:
        """Every trouble, in path order."""
        rows = self._sql.execute(
            "SELECT dir, name, kind, key, reason, tries, since_ns, retry_ns FROM troubles"
            " ORDER BY dir, name"
        )
        return [
            Trouble(
                path=f"{folder}/{name}" if folder else name, kind=kind, key=key, reason=reason,
                tries=tries, since_ns=since, retry_ns=retry,
            )
            for folder, name, kind, key, reason, tries, since, retry in rows
        ]  # fmt: skip

    def count(self) -> int:
        """How many paths are in trouble that does not pass by itself at once."""
        found = self._sql.execute(
            "SELECT count(*) FROM troubles WHERE retry_ns IS NULL OR tries > 2"
        )
        return int(found.fetchone()[0])

    def tries(self, path: str) -> int:
        """How often in a row this path was tried in vain."""
        found = self._sql.execute(
            "SELECT tries FROM troubles WHERE dir = ? AND name = ?", split(path)
        ).fetchone()
        return int(found[0]) if found else 0

    def clear(self, path: str) -> None:
        """The path is in no trouble any more."""
        self._sql.execute("DELETE FROM troubles WHERE dir = ? AND name = ?", split(path))
