"""The state file: what was seen on disk, and what the remote gave a receipt for.

The control thread of a mirror is the only writer and the only user of a `State`; everybody else
reads through `report`. Writes gather in one transaction until `commit`. Losing the last
transaction, or the whole file, costs comparisons, never an upload or an item.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from syncd.errors import StateError
from syncd.model import Receipt, Stat
from syncd.state.listing import Listing
from syncd.state.overlay import Overlay
from syncd.state.row import COLUMNS, Row, from_values
from syncd.state.troubles import Troubles, split

FILE = "state.db"

_NO_RECEIPT = (
    "UPDATE files SET item_id = NULL, version = NULL, stored_key = NULL, stored_digest = NULL,"
    " stored_ns = NULL, was_size = NULL, was_mtime_ns = NULL, was_inode = NULL"
)
_DISOWN = f"{_NO_RECEIPT} WHERE dir = ? AND name = ?"
_RELEASE = f"{_NO_RECEIPT}, due = coalesce(due, 0) WHERE item_id = ?"
_ABANDON = (
    "INSERT OR IGNORE INTO items (id, key, version, digest, state, by)"
    " SELECT item_id, stored_key, version, stored_digest, 'present', '' FROM files"
    " WHERE dir = ? AND name = ? AND item_id IS NOT NULL"
)
_EACH = "SELECT value FROM json_each(?)"

# Where a file in sync is replaced by another, how it looked is kept: it may be elsewhere now.
_SEE = """
INSERT INTO files (dir, name, size, mtime_ns, inode, mark, due) VALUES (?, ?, ?, ?, ?, ?, ?)
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
  mark = excluded.mark,
  gone = NULL, due = excluded.due
"""
VERSION = 1
"""How many migrations the file has behind it."""


class State:
    """The one open state file of a mirror."""

    def __init__(self, folder: Path | None) -> None:
        """Open or make `folder/state.db`; None is a private one in memory."""
        self._file = folder / FILE if folder else None
        try:
            self._sql = sqlite3.connect(self._file or ":memory:")
            self._prepare()
        except sqlite3.Error as error:
            raise self._damage(error) from error

    def _prepare(self) -> None:
        if self._file:
            self._file.chmod(0o600)
        self._sql.execute("PRAGMA synchronous=NORMAL")
        self._migrate()
        # Asked many times a turn; this is its only writer.
        self._meta = self._read_meta()
        self.troubles = Troubles(self._sql)
        self.overlay = Overlay(self._sql)
        self.listing = Listing(self._sql)

    def _migrate(self) -> None:
        (found,) = self._sql.execute("PRAGMA user_version").fetchone()
        if found > VERSION:
            raise StateError(
                "was written by a newer syncd", path=str(self._file), hint="update syncd"
            )
        if found < VERSION:
            # Imported only here: sqlite-utils takes longer to import than a small push takes.
            from syncd.state.schema import upgrade

            upgrade(self._sql, VERSION)

    def _damage(self, error: sqlite3.Error) -> StateError:
        return StateError(
            f"the state file cannot be used: {error}",
            path=str(self._file),
            hint="free space or mend its rights; or delete it: the next run compares everything"
            " by digest and sends nothing twice",
        )

    def _read_meta(self) -> dict[str, Any]:
        return {n: json.loads(value) for n, value in self._sql.execute("SELECT * FROM meta")}

    @classmethod
    def snapshot(cls, folder: Path) -> State:
        """A private copy in memory of what is there: a plan can be tried on it."""
        twin = cls(None)
        file = folder / FILE
        if file.exists():
            with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source:
                source.backup(twin._sql)
            twin._meta = twin._read_meta()
        return twin

    def commit(self) -> None:
        if self._sql.in_transaction:
            try:
                self._sql.commit()
            except sqlite3.Error as error:
                raise self._damage(error) from error

    def close(self) -> None:
        self.commit()
        self._sql.close()

    # --- observations -------------------------------------------------------------------------

    def observed(self, folder: str) -> dict[str, Stat]:
        """What is known to be in one folder, without its subfolders."""
        rows = self._sql.execute(
            "SELECT name, size, mtime_ns, inode FROM files WHERE dir = ? AND gone IS NULL",
            (folder,),
        )
        return {name: (size, mtime, inode) for name, size, mtime, inode in rows}

    def marks(self, folder: str) -> dict[str, int]:
        """As `observed`, each stat as its hash: three times as quick to read and compare."""
        return dict(
            self._sql.execute(
                "SELECT name, mark FROM files WHERE dir = ? AND gone IS NULL", (folder,)
            )
        )

    def subfolders(self, folder: str) -> Iterator[str]:
        """Every folder at or below `folder` that has known files, in order."""
        if folder == "":
            rows = self._sql.execute("SELECT DISTINCT dir FROM files WHERE gone IS NULL")
        else:
            # '0' is the character after '/': the range holds exactly what lies below.
            rows = self._sql.execute(
                "SELECT DISTINCT dir FROM files"
                " WHERE (dir = ? OR (dir > ? AND dir < ?)) AND gone IS NULL",
                (folder, f"{folder}/", f"{folder}0"),
            )
        return (row[0] for row in rows.fetchall())

    def see(self, folder: str, seen: Mapping[str, Stat], due: int) -> None:
        """Record files as they are now; each is to be decided at `due`."""
        self._sql.executemany(
            _SEE, [(folder, name, *stat, hash(stat), due) for name, stat in seen.items()]
        )

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

    # --- rows ---------------------------------------------------------------------------------

    def row(self, path: str) -> Row | None:
        found = self._select("dir = ? AND name = ?", split(path))
        return found[0] if found else None

    def due(self, now: int, limit: int, after: tuple[int, str, str]) -> list[Row]:
        """Rows to decide by `now`, oldest first, behind `after`: (due, dir, name)."""
        return self._select(
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

    def vanished(self, stats: Iterable[Stat]) -> list[Row]:
        """Rows whose file left them and may be one of these: by inode, or, if gone, by size."""
        wanted = list(stats)
        inodes = json.dumps([stat[2] for stat in wanted])
        sizes = json.dumps([stat[0] for stat in wanted])
        found = [
            *self._select(f"gone IS NOT NULL AND inode IN ({_EACH})", (inodes,)),
            *self._select(f"gone IS NOT NULL AND size IN ({_EACH}) LIMIT 5000", (sizes,)),
            *self._select(f"was_inode IN ({_EACH})", (inodes,)),
        ]
        return list({row.path: row for row in found}.values())

    def displaced(self, stat: Stat) -> list[Row]:
        """Rows whose name this very file has now, instead of the one that was stored."""
        return self._select(
            "was_inode IS NOT NULL AND gone IS NULL AND (inode, size, mtime_ns) = (?, ?, ?)",
            (stat[2], stat[0], stat[1]),
        )

    def anything_gone(self) -> bool:
        """Some file with a receipt has vanished and is not dealt with yet."""
        found = self._sql.execute("SELECT 1 FROM files WHERE gone IS NOT NULL LIMIT 1")
        return found.fetchone() is not None

    def anything_stored(self) -> bool:
        """Some file has a receipt."""
        found = self._sql.execute("SELECT 1 FROM files WHERE item_id IS NOT NULL LIMIT 1")
        return found.fetchone() is not None

    def removals(self) -> list[Row]:
        """Gone rows that still have a receipt, in path order."""
        return self._select("gone IS NOT NULL AND item_id IS NOT NULL ORDER BY dir, name", ())

    def holders(self, keys: Sequence[str]) -> dict[str, Row]:
        """Which rows hold these keys."""
        rows = self._select("key IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
        return {row.key: row for row in rows if row.key}

    def by_item(self, ids: Sequence[str]) -> dict[str, Row]:
        """Which rows have receipts for these items."""
        rows = self._select("item_id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
        return {row.receipt.id: row for row in rows if row.receipt}

    def _select(self, where: str, values: Sequence[Any]) -> list[Row]:
        rows = self._sql.execute(f"SELECT {COLUMNS} FROM files WHERE {where}", values)  # noqa: S608
        return [from_values(values) for values in rows]

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
        to a run that ended between two lines."""
        self._sql.execute(
            "UPDATE files SET due = ? WHERE due IS NULL AND gone IS NULL"
            " AND (item_id IS NULL OR digest IS NULL) AND (dir, name) NOT IN"
            " (SELECT dir, name FROM troubles WHERE retry_ns IS NULL)",
            (due,),
        )

    def place(self, keys: Iterable[tuple[str, str | None]]) -> None:
        """Record where paths belong: (path, key)."""
        keys = list(keys)
        if any(key and key.rpartition("/")[2] != split(path)[1] for path, key in keys):
            self.put(renames=True)
        self._sql.executemany(
            "UPDATE files SET key = ? WHERE dir = ? AND name = ?",
            [(key, *split(path)) for path, key in keys],
        )

    def evict(self, path: str, key: str) -> None:
        """Take the key from whichever other path holds it; that path is placed anew."""
        self._sql.execute(
            "UPDATE files SET key = NULL, due = coalesce(due, 0)"
            " WHERE key = ? AND NOT (dir = ? AND name = ?)",
            (key, *split(path)),
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

    def unplace_all(self, due: int) -> None:
        """Forget where everything belongs and decide anew: the layout changed."""
        self._sql.execute("UPDATE files SET key = NULL, due = ?", (due,))

    def read(self, path: str, stat: Stat, digest: str, due: int | None) -> None:
        """Record the digest of a file's content as read."""
        self._sql.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, inode = ?, mark = ?, digest = ?, due = ?"
            " WHERE dir = ? AND name = ?",
            (*stat, hash(stat), digest, due, *split(path)),
        )

    def agree(self, agreed: Iterable[tuple[str, Stat, Receipt]]) -> None:
        """Record receipts: (path, stat of the content stored, receipt). The rows are settled."""
        rows = [(split(path), stat, r) for path, stat, r in agreed]
        try:
            self._agree(rows)
        except sqlite3.IntegrityError:
            # Another path has such a key or item: it is theirs who were told last.
            for path, _, receipt in rows:
                self.evict("/".join(filter(None, path)), receipt.key)
                self._release(receipt.id)
            self._agree(rows)

    def _agree(self, rows: Sequence[tuple[tuple[str, str], Stat, Receipt]]) -> None:
        self._sql.executemany(
            "UPDATE files SET size = ?, mtime_ns = ?, inode = ?, mark = ?, digest = ?, key = ?,"
            " item_id = ?, version = ?, stored_key = ?, stored_digest = ?, stored_ns = ?,"
            " due = NULL,"
            " was_size = NULL, was_mtime_ns = NULL, was_inode = NULL WHERE dir = ? AND name = ?",
            [
                (
                    *stat,
                    hash(stat),
                    r.digest,
                    r.key,
                    r.id,
                    r.version,
                    r.key,
                    r.digest,
                    r.stored_ns,
                    *path,
                )
                for path, stat, r in rows
            ],
        )
        self._sql.executemany(
            "DELETE FROM troubles WHERE dir = ? AND name = ?", [path for path, _, _ in rows]
        )

    def receive(self, path: str, stat: Stat, receipt: Receipt, due: int) -> None:
        """Record a receipt for content the file no longer has: it is decided again."""
        self.own(path, receipt, stat)
        self._sql.execute(
            "UPDATE files SET digest = NULL, due = ? WHERE dir = ? AND name = ?",
            (due, *split(path)),
        )

    def own(self, path: str, receipt: Receipt, was: Stat | None = None) -> None:
        """Write a receipt, and leave the observation as it is; `was` is how the file of the
        receipt looked, where it is not the one that is there."""
        self._release(receipt.id)
        self._sql.execute(
            "UPDATE files SET item_id = ?, version = ?, stored_key = ?, stored_digest = ?,"
            " stored_ns = ?, was_size = ?, was_mtime_ns = ?, was_inode = ?"
            " WHERE dir = ? AND name = ?",
            (receipt.id, receipt.version, receipt.key, receipt.digest, receipt.stored_ns,
             *(was or (None, None, None)), *split(path)),
        )  # fmt: skip

    def disown(self, path: str) -> None:
        """Drop the receipt, and leave the observation and the place as they are."""
        self._sql.execute(_DISOWN, split(path))

    def _release(self, id: str) -> None:
        """An item has one receipt: whose it was before is decided anew."""
        self._sql.execute(_RELEASE, (id,))

    def settle(self, path: str, due: int | None = None) -> None:
        """Nothing to do for this path, or not before `due`."""
        self._sql.execute(
            "UPDATE files SET due = ? WHERE dir = ? AND name = ?", (due, *split(path))
        )

    def forget(self, paths: Iterable[str]) -> None:
        """Drop rows with their receipts and troubles."""
        pairs = [split(path) for path in paths]
        self._sql.executemany("DELETE FROM files WHERE dir = ? AND name = ?", pairs)
        self._sql.executemany("DELETE FROM troubles WHERE dir = ? AND name = ?", pairs)

    def abandon(self, paths: Iterable[str]) -> None:
        """Drop rows, but remember that their items are there: they are nobody's now."""
        paths = list(paths)
        self._sql.executemany(_ABANDON, [split(path) for path in paths])
        self.forget(paths)

    # --- the binding -----------------------------------------------------------------------------

    def get(self, name: str, default: Any = None) -> Any:
        return self._meta.get(name, default)

    def put(self, **values: Any) -> None:
        self._meta.update(values)
        self._sql.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(name, json.dumps(value)) for name, value in values.items()],
        )

    def reset(self) -> None:
        """Forget everything: the file is about another dataset now."""
        for table in ("files", "items", "troubles", "meta"):
            self._sql.execute(f"DELETE FROM {table}")  # noqa: S608
        self._meta.clear()

    def unsent(self) -> list[str]:
        """Paths that are there but have no receipt."""
        rows = self._sql.execute(
            "SELECT dir, name FROM files WHERE (item_id IS NULL OR digest IS NULL)"
            " AND gone IS NULL ORDER BY dir, name"
        )
        return [f"{folder}/{name}" if folder else name for folder, name in rows]

    def renamed(self) -> int:
        """How many files are stored under another name than their own."""
        if not self.get("renames"):
            return 0
        found = self._sql.execute(
            "SELECT count(*) FROM files WHERE key IS NOT NULL AND gone IS NULL"
            " AND key <> name AND substr(key, -length(name) - 1) <> '/' || name"
        ).fetchone()
        return int(found[0])

    def count(self) -> tuple[int, int]:
        """How many rows have a receipt, and how many of those are gone."""
        found = self._sql.execute(
            "SELECT count(*), count(gone) FROM files WHERE item_id IS NOT NULL"
        ).fetchone()
        return int(found[0]), int(found[1])
