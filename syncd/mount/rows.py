"""The rows of an index: what one is, and every way to find some.

Only reads; `Index` writes them. Called under the tree's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from syncd.model import Item
from syncd.mount.names import Rank
from syncd.value import value

ROOT = 1
AWAY = 0
"""The folder of rows that were replaced or removed while the kernel knew them."""


class Row(NamedTuple):
    """One row: a folder where `rank` is FOLDER, else a file; a sidecar carries its `content`."""

    ino: int
    folder: int
    name: str
    rank: int
    size: int
    mtime_ns: int
    item: str | None = None
    version: int | None = None
    digest: bytes | None = None
    key: str | None = None
    content: bytes | None = None

    def same(self, other: Row) -> bool:
        """Whether a reader finds the same bytes under the same name."""
        return self._shown() == other._shown()

    def _shown(self) -> tuple[object, ...]:
        untold = self.mtime_ns if self.version is None else self.version
        return (*self[1:5], self.item, self.digest or untold, self.key, self.content)


class Seen(NamedTuple):
    """What a listing and a look at a name need of a row."""

    ino: int
    rank: int
    size: int
    mtime_ns: int


@value
class Step:
    """A change of what one name in one folder shows: a row goes, a row comes, or both."""

    folder: int
    name: str
    remove: Row | None = None
    add: Row | None = None


_ROWS = (
    "SELECT ino, folder, name, rank, size, mtime_ns, item, version, digest, key, content FROM rows "
)


_FIRST = "rank, ino"
"""Who is shown of several under one name: whoever was there stays until he goes, for of that the
kernel is told."""


class Rows:
    """The rows of one index file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def find(self, folder: int, name: str) -> Row | None:
        """The row that is shown under a name."""
        found = self._db.execute(
            _ROWS + f"WHERE folder = ? AND name = ? ORDER BY {_FIRST} LIMIT 1",
            (folder, name),
        ).fetchone()
        return Row(*found) if found else None

    def row(self, ino: int) -> Row | None:
        found = self._db.execute(_ROWS + "WHERE ino = ?", (ino,)).fetchone()
        return Row(*found) if found else None

    def of_item(self, id: str) -> list[Row]:
        """The rows an item has now: its own, and its sidecar's."""
        found = self._db.execute(_ROWS + "WHERE item = ? AND folder <> ?", (id, AWAY))
        return [Row(*row) for row in found]

    def listing(self, folder: int) -> dict[str, Seen]:
        """What a folder shows, ordered by name."""
        found = self._db.execute(
            "SELECT name, ino, rank, size, mtime_ns FROM rows WHERE folder = ? ORDER BY name, rank",
            (folder,),
        ).fetchall()
        make = Seen._make
        shown = {row[0]: make(row[1:]) for row in found}
        if len(shown) < len(found):  # of several under one name the first is shown
            for row in sorted(found, key=lambda row: (row[2], row[1]), reverse=True):
                shown[row[0]] = make(row[1:])
        return shown

    def more_than(self, folder: int, count: int) -> bool:
        wanted = "SELECT 1 FROM rows WHERE folder = ? LIMIT 1 OFFSET ?"
        return self._db.execute(wanted, (folder, count)).fetchone() is not None

    def after(self, row: Row, limit: int) -> list[Row]:
        """The next items in the order of listings, in this row's folder and those that follow."""
        found: list[Row] = []
        folder, name = row.folder, row.name
        for _ in range(64):  # folders looked into: a tree of empty ones must not hold a reader up
            found += self._items_after(folder, name, limit - len(found))
            if len(found) >= limit or folder == ROOT:
                break
            at = self.row(folder)
            if at is None:
                break
            below = self._db.execute(
                "SELECT ino FROM rows WHERE folder = ? AND name > ? AND rank = 0"
                " ORDER BY name LIMIT 1",
                (at.folder, at.name),
            ).fetchone()
            folder, name = (below[0], "") if below else (at.folder, at.name)
        return found

    def below(self, folder: int) -> Iterator[list[Row]]:
        """Every item at or below a folder, in the order of listings, some at a time."""
        name = ""
        while some := self._items_after(folder, name, 500):
            yield some
            name = some[-1].name
        for seen in self.listing(folder).values():
            if seen.rank == Rank.FOLDER:
                yield from self.below(seen.ino)

    def path(self, ino: int) -> str:
        """The folders on the way to a folder and itself, as shown; "" for the root."""
        parts: list[str] = []
        while ino != ROOT and (at := self.row(ino)):
            parts.append(at.name)
            ino = at.folder
        return "/".join(reversed(parts))

    def hidden(self) -> list[tuple[int, str]]:
        """The names that several claim, with their folder: all but one of them are hidden."""
        return self._db.execute(
            "SELECT folder, name FROM rows WHERE folder <> ?"
            " GROUP BY folder, name HAVING count(*) > 1",
            (AWAY,),
        ).fetchall()

    def several(self, folder: int, name: str) -> bool:
        """Whether more than one claim a name."""
        wanted = "SELECT 1 FROM rows WHERE folder = ? AND name = ? LIMIT 1 OFFSET 1"
        return self._db.execute(wanted, (folder, name)).fetchone() is not None

    def renamed(self) -> list[Row]:
        """The items that are shown under another name than their own."""
        found = self._db.execute(_ROWS + "WHERE key IS NOT NULL")
        return [Row(*row) for row in found]

    def items(self, after: int, limit: int) -> list[tuple[int, str]]:
        """The number and the id of the next items that are shown, in the order of numbers."""
        return self._db.execute(
            "SELECT ino, item FROM rows WHERE ino > ? AND rank IN (1, 2) AND folder <> ?"
            " ORDER BY ino LIMIT ?",
            (after, AWAY, limit),
        ).fetchall()

    def _items_after(self, folder: int, name: str, limit: int) -> list[Row]:
        found = self._db.execute(
            _ROWS + "WHERE folder = ? AND name > ? AND rank IN (1, 2) ORDER BY name LIMIT ?",
            (folder, name, limit),
        )
        return [Row(*row) for row in found]


def item_of(row: Row, path: str) -> Item:
    """The item a row shows; `path` is that of its folder."""
    return Item(
        key=row.key or (f"{path}/{row.name}" if path else row.name),
        id=row.item or "",
        version=row.version,
        digest=row.digest.hex() if row.digest else None,
        size=row.size,
        modified_ns=row.mtime_ns,
    )
