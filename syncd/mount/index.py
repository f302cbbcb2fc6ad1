"""What a mount shows, in one SQLite file: a row for every folder, file and sidecar.

Made for one dataset in one generation of one remote; `Tree` alone calls it, under its own lock.
Nothing is held in memory but SQLite's pages, so a million items cost none. A row's number is the
inode number: content that is replaced gets a new row. A row in folder 0 was replaced or removed
while the kernel knew it; it is kept for those who still hold it, until the next start.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from syncd.mount.names import Rank
from syncd.mount.rows import AWAY, ROOT, Row, Rows, Step

log = logging.getLogger(__name__)

SCHEMA = 3
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (
    ino INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name TEXT NOT NULL, rank INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    item TEXT, version INTEGER, digest BLOB, key TEXT, content BLOB
);
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS rows_name ON rows (folder, name, rank, size, mtime_ns);
CREATE INDEX IF NOT EXISTS rows_item ON rows (item) WHERE item IS NOT NULL;
"""


_DROP_EMPTY = """
DELETE FROM rows WHERE rank = 0 AND ino <> ? AND NOT EXISTS
    (SELECT 1 FROM rows AS below WHERE below.folder = rows.ino)
"""
_INSERT = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Index:
    """One index file; not safe to share between threads without a lock."""

    def __init__(self, file: Path, binding: str) -> None:
        """Open or make it; what was made for another binding, or is damaged, is begun anew."""
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = file
        self._db = self._opened(binding)
        try:
            self._tidy()
        except sqlite3.DatabaseError as error:
            log.warning("the index is damaged and begins anew file=%s reason=%s", file, error)
            self._db.close()
            self._db = self._made(binding)
            self._tidy()
        self.rows = Rows(self._db)
        self.filled = self.word("filled") is not None
        """Whether it holds all the dataset held when it was filled."""

    def _tidy(self) -> None:
        """Go on where the last run ended: its numbers, less what only it had to keep."""
        top = self._db.execute("SELECT max(ino) FROM rows").fetchone()[0]
        self._next = max(top or ROOT, ROOT, int(self.word("last") or 0)) + 1
        with self.together():
            if self._db.execute("DELETE FROM rows WHERE folder = ?", (AWAY,)).rowcount:
                self.put_word("last", str(self._next - 1))
        self._changed = self.word("changed") is not None
        if self._changed:  # and never closed
            while self._db.execute(_DROP_EMPTY, (ROOT,)).rowcount:
                pass

    def close(self) -> None:
        if self._changed:
            self._db.execute("DELETE FROM meta WHERE name = 'changed'")
        self._db.close()

    def word(self, name: str) -> str | None:
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def put_word(self, name: str, value: str) -> None:
        self._db.execute("REPLACE INTO meta VALUES (?, ?)", (name, value))

    @contextmanager
    def aside(self) -> Iterator[Rows]:
        """The rows by a connection of their own, for questions that take long."""
        with closing(self._connect()) as db:
            yield Rows(db)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done within happens in one transaction, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def number(self) -> int:
        """A number that no row had before."""
        self._next += 1
        return self._next - 1

    def insert(self, rows: Sequence[Row]) -> None:
        self._db.executemany(_INSERT, rows)

    def apply(self, step: Step, *, keep: bool) -> None:
        """Carry out a step; `keep` leaves the row that goes for those who hold it."""
        with self.together():
            if not self._changed:
                self._changed = True
                self.put_word("changed", "")
            if step.remove and keep:
                wanted = "UPDATE rows SET folder = 0 WHERE ino = ?"
                self._db.execute(wanted, (step.remove.ino,))
            elif step.remove:
                self._db.execute("DELETE FROM rows WHERE ino = ?", (step.remove.ino,))
            if step.add:
                self.insert([step.add])
            if step.remove:  # with it the highest number may go, and must not come again
                self.put_word("last", str(self._next - 1))
            self.date(step.folder, time.time_ns())

    def refresh(self, row: Row) -> None:
        """Put down what changed about a row that shows the same bytes."""
        self._db.execute(
            "UPDATE rows SET mtime_ns = ?, version = ? WHERE ino = ?",
            (row.mtime_ns, row.version, row.ino),
        )

    def date(self, folder: int, mtime_ns: int) -> None:
        self._db.execute("UPDATE rows SET mtime_ns = ? WHERE ino = ?", (mtime_ns, folder))

    def begin(self) -> None:
        """Empty it, and give way to the fastest filling: a crash leaves it to be begun anew."""
        self._db.executescript(
            "DROP INDEX IF EXISTS rows_name; DROP INDEX IF EXISTS rows_item;"
            "DELETE FROM rows; DELETE FROM meta WHERE name <> 'binding';"
        )
        self._next = ROOT + 1
        self.insert([Row(ROOT, -1, "", Rank.FOLDER, 0, time.time_ns())])

    def end(self) -> None:
        """All is filled in."""
        self._db.executescript(_INDEXES)
        self.put_word("filled", str(time.time_ns()))
        self.filled = True

    def _opened(self, binding: str) -> sqlite3.Connection:
        try:
            db = self._connect()
        except sqlite3.DatabaseError:
            return self._made(binding)
        with suppress(sqlite3.DatabaseError):  # a new file, or a damaged one
            known = db.execute("SELECT value FROM meta WHERE name = 'binding'").fetchone()
            if known and known[0] == f"{SCHEMA} {binding}":
                return db
        db.close()
        return self._made(binding)

    def _made(self, binding: str) -> sqlite3.Connection:
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        db = self._connect()
        db.executescript(_TABLES)
        db.execute("INSERT INTO meta VALUES ('binding', ?)", (f"{SCHEMA} {binding}",))
        return db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        self._file.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -16384")
        db.execute("PRAGMA mmap_size = 0")
        return db
