"""The state file: what was seen on disk, and what the remote gave a receipt for.

The control thread of a mirror is the only writer and the only user of a `State`; everybody else
reads through `report`. Writes gather in one transaction until `commit`. Losing the last
transaction, or the whole file, costs comparisons, never an upload or an item.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from syncd.errors import StateError
from syncd.state.agenda import Agenda
from syncd.state.files import Files
from syncd.state.folder import FILE
from syncd.state.folders import Folders
from syncd.state.history import History
from syncd.state.listing import Listing
from syncd.state.meta import Meta
from syncd.state.names import Names
from syncd.state.overlay import Overlay
from syncd.state.receipts import Receipts
from syncd.state.sidecars import Sidecars
from syncd.state.troubles import Troubles

FRESH = Path(__file__).with_name("fresh.sql")
VERSION = 5
"""How many migrations the file has behind it."""

JOURNAL_BYTES = 64 * 1024 * 1024
"""What the write-ahead log is cut back to once its pages are in the file."""
SLACK_BYTES = 16 * 1024 * 1024


class State:
    """The one open state file of a mirror."""

    def __init__(self, folder: Path | None) -> None:
        """Open or make `folder/state.db`; None is a private one in memory."""
        self._file = folder / FILE if folder else None
        try:
            self._sql = sqlite3.connect(self._file or ":memory:")
        except sqlite3.Error as error:
            raise _damage(self._file, error) from error
        try:
            self._prepare()
        except BaseException as error:
            self._sql.close()
            if isinstance(error, sqlite3.Error | OSError):
                raise _damage(self._file, error) from error
            raise

    def _prepare(self) -> None:
        if self._file:
            self._file.chmod(0o600)
        self._opened = _identity(self._file)
        self._sql.execute("PRAGMA synchronous=NORMAL")
        self._sql.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
        self._migrate()
        self.files = Files(self._sql)
        self.folders = Folders(self._sql)
        self.names = Names(self._sql)
        self.receipts = Receipts(self._sql, self.files, self.names)
        self.agenda = Agenda(self._sql)
        self.meta = Meta(self._sql)
        self.troubles = Troubles(self._sql)
        self.overlay = Overlay(self._sql)
        self.listing = Listing(self._sql)
        self.history = History(self._sql)
        self.sidecars = Sidecars(self._sql)

    def _migrate(self) -> None:
        (found,) = self._sql.execute("PRAGMA user_version").fetchone()
        if found > VERSION:
            raise StateError(
                "was written by a newer syncd", path=str(self._file), hint="update syncd"
            )
        if found == 0 and not self._sql.execute("SELECT 1 FROM sqlite_master").fetchone():
            # What the migrations come to; importing sqlite-utils takes longer than a small push.
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.executescript(f"BEGIN; {FRESH.read_text()} COMMIT;")
        elif found < VERSION:
            from syncd.state.schema import upgrade

            upgrade(self._sql, VERSION)

    @classmethod
    def snapshot(cls, folder: Path) -> State:
        """A private copy in memory of what is there: a plan can be tried on it."""
        twin = cls(None)
        file = folder / FILE
        if file.exists():
            try:
                twin._take(file)
            except BaseException as error:
                twin._sql.close()
                if isinstance(error, sqlite3.Error):
                    raise _damage(file, error) from error
                raise
        return twin

    def _take(self, file: Path) -> None:
        with closing(sqlite3.connect(only_read(file), uri=True)) as source:
            source.backup(self._sql)
        self._migrate()
        self.meta.reload()
        self.sidecars.recall()

    @property
    def there(self) -> bool:
        """Whether the file lies where it was opened: nobody deleted it or put another there."""
        return _identity(self._file) == self._opened

    def commit(self) -> None:
        with self.in_use():
            self.history.flush()
            if self._sql.in_transaction:
                self._sql.commit()

    def shrink(self) -> bool:
        """Give back what is free in the file, where that is much and most of it; whether it was.
        Costs a copy of the rest. Raises StateError where there is no room for one."""
        with self.in_use():
            ask = (f"PRAGMA {name}" for name in ("page_count", "freelist_count", "page_size"))
            pages, free, size = (int(self._sql.execute(one).fetchone()[0]) for one in ask)
            if free * size < SLACK_BYTES or free * 2 < pages:
                return False
            self._sql.execute("VACUUM")
        return True

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._sql.close()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Turn what SQLite raises meanwhile (a full disk, a damaged file) into a StateError."""
        try:
            yield
        except sqlite3.Error as error:
            raise _damage(self._file, error) from error

    def reset(self) -> None:
        """Forget everything: the file is about another dataset now."""
        for table in ("files", "sidecars", "folders", "items", "troubles", "meta"):
            self._sql.execute(f"DELETE FROM {table}")  # noqa: S608
        self.meta.reload()


def _identity(file: Path | None) -> tuple[int, int] | None:
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def only_read(file: Path) -> str:
    """The address by which SQLite reads a state file beside whoever writes it.

    To read one it makes a file beside it. Where it may not, and no journal lies there, nobody
    writes either, and it can do without."""
    alone = not os.access(file.parent, os.W_OK) and not file.with_name(f"{FILE}-wal").exists()
    return f"{file.as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def _damage(file: Path | None, error: sqlite3.Error | OSError) -> StateError:
    return StateError(
        f"the state file cannot be used: {error}",
        path=str(file),
        hint="free space or mend its rights; or delete it: the next run compares everything"
        " by digest and sends nothing twice",
    )
