"""One dataset as a tree of names: what the kernel is answered, and how it changes.

Any thread may ask; one lock guards the index, the folders kept in memory and the marks of what
the kernel was told. A row is marked in the same breath as it is looked up, so whoever changes a
name knows whether the kernel may hold it.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from syncd.model import Item
from syncd.mount.index import Index
from syncd.mount.marks import Marks
from syncd.mount.names import Rank
from syncd.mount.rows import ROOT, Row, Seen, Step, item_of

KEPT_NAMES = 150_000
"""Names of listed folders kept in memory, 45 MB at most; others are looked up in the index."""
KEPT_FILES, KEPT_FOLDERS = 4096, 50_000
"""Rows of files that are being read, and paths, kept in memory until there are so many."""
ASKED, LISTED_AT_ONCE = 4, 2_000
"""A folder that was asked about so often is read whole, unless it holds more than that."""


class Tree:
    """The names of one dataset; `slot` tells its inode numbers from those of other datasets."""

    def __init__(self, index: Index, *, slot: int = 0) -> None:
        self.index = index
        self.slot = slot << 40
        self.lock = threading.RLock()
        self._known = Marks()
        self._paths: dict[str, int] = {"": ROOT}
        self._listed: OrderedDict[int, dict[str, Seen]] = OrderedDict()
        self._asked: dict[int, int] = {}
        self._names = 0
        self._files: dict[str, Row] = {}
        self._items: dict[int, tuple[Row, Item]] = {}
        """Both of files that are read, or will be; empty again after any change."""
        self._where: dict[int, str] = {}

    # --- what the kernel asks -------------------------------------------------------------------

    def look(self, path: str) -> Seen:
        """What is at a path (no slash at either end); raises OSError."""
        above, _, name = path.rpartition("/")
        with self.lock:
            seen = self._seen(self._folder(above), name) if path else self._root()
            self._known.add(seen.ino)
            return seen

    def listing(self, path: str) -> dict[str, Seen]:
        """What a folder shows, by name, in order; raises OSError."""
        with self.lock:
            return self._listing(self._folder(path))

    def file(self, path: str) -> Row:
        """The row of the file at a path; raises OSError."""
        found = self._files.get(path)
        if found is not None:
            return found
        above, _, name = path.rpartition("/")
        with self.lock:
            row = self.row(self._seen(self._folder(above), name).ino)
            if row.content is None:
                _make_room(self._files)
                self._files[path] = row
            return row

    def row(self, ino: int) -> Row:
        """The row of a number, also one that went while it was held; raises OSError."""
        with self.lock:
            kept = self._items.get(ino)
            row = kept[0] if kept else self.index.rows.row(ino)
            if row is None:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return row

    def item(self, row: Row) -> Item:
        """The item whose bytes a row shows."""
        with self.lock:
            kept = self._items.get(row.ino)
            if kept is None or kept[0] is not row:
                _make_room(self._items)
                kept = self._items[row.ino] = row, item_of(row, self._path(row.folder))
            return kept[1]

    def next_items(self, item: Item, count: int) -> Sequence[Item]:
        """The items that follow one in the order of listings."""
        with self.lock:
            rows = [row for row in self.index.rows.of_item(item.id) if row.rank != Rank.SIDECAR]
            found = self.index.rows.after(rows[0], count) if rows else []
            return [self.item(row) for row in found]

    def items(self, path: str) -> Iterator[Item]:
        """Every item at or below a folder, in the order of listings; raises OSError."""
        with self.lock:
            below = self.index.rows.below(self._folder(path))
        while True:
            with self.lock:
                some = [self.item(row) for row in next(below, [])]
            if not some:
                return
            yield from some

    # --- what changes it ------------------------------------------------------------------------

    def _displaced(self, step: Step) -> Row | None:
        """The row the kernel knows under the step's name and must not find there any more."""
        with self.lock:
            now = self.index.rows.find(step.folder, step.name)
            if now is None or not self.knows(now.ino):
                return None
            removed = step.remove is not None and step.remove.ino == now.ino
            return now if removed or (step.add and step.add.rank < now.rank) else None

    def apply(self, step: Step) -> None:
        """Carry a step out, in the index and in what is kept in memory."""
        with self.lock:
            keep = step.remove is not None and self.knows(step.remove.ino)
            self.index.apply(step, keep=keep)
            self._forget_files()
            if step.remove:
                self._forget(step.remove)
            self._relist(step.folder, step.name)

    def apply_unless_known(self, step: Step) -> Row | None:
        """Carry a step out at once where the kernel need not be told; else the row it knows."""
        with self.lock:
            row = self._displaced(step)
            if row is None:
                self.apply(step)
            return row

    def refresh(self, row: Row) -> None:
        """Put down another time of a row that shows the same bytes."""
        with self.lock:
            self.index.refresh(row)
            self._forget_files()
            self._relist(row.folder, row.name)

    def knows(self, ino: int) -> bool:
        """Whether the kernel was ever told of this row."""
        return ino in self._known

    def path(self, folder: int) -> str:
        with self.lock:
            return self._path(folder)

    # --- below the lock -------------------------------------------------------------------------

    def _root(self) -> Seen:
        row = self.index.rows.row(ROOT)
        return Seen(ROOT, Rank.FOLDER, 0, row.mtime_ns if row else 0)

    def _folder(self, path: str) -> int:
        found = self._paths.get(path)
        if found is not None:
            return found
        above, _, name = path.rpartition("/")
        seen = self._seen(self._folder(above), name)
        if seen.rank != Rank.FOLDER:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if len(self._paths) > KEPT_FOLDERS:
            self._paths = {"": ROOT}
        self._paths[path] = seen.ino
        return seen.ino

    def _seen(self, folder: int, name: str) -> Seen:
        listed = self._listed.get(folder)
        if listed is not None:
            seen = listed.get(name)
        else:
            row = self.index.rows.find(folder, name)
            seen = Seen(row.ino, row.rank, row.size, row.mtime_ns) if row else None
            self._count(folder)
        if seen is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return seen

    def _count(self, folder: int) -> None:
        """Read a folder whole when it was asked about a few times: the rest comes from memory,
        also what the kernel asks of every file once more after it was read."""
        self._asked[folder] = self._asked.get(folder, 0) + 1
        if self._asked[folder] == ASKED and not self.index.rows.more_than(folder, LISTED_AT_ONCE):
            self._keep(folder, self.index.rows.listing(folder))
        if len(self._asked) > 50_000:
            self._asked = {}

    def _listing(self, folder: int) -> dict[str, Seen]:
        listed = self._listed.get(folder)
        if listed is None:
            listed = self.index.rows.listing(folder)
            self._keep(folder, listed)
        else:
            self._listed.move_to_end(folder)
        return listed.copy()

    def _keep(self, folder: int, listed: dict[str, Seen]) -> None:
        if len(listed) > KEPT_NAMES:
            return
        self._listed[folder] = listed
        self._names += len(listed) + 1
        while self._names > KEPT_NAMES:
            _, gone = self._listed.popitem(last=False)
            self._names -= len(gone) + 1

    def _relist(self, folder: int, name: str) -> None:
        """Read again what a folder in memory shows under one name, and its own row above."""
        listed = self._listed.get(folder)
        if listed is not None:
            self._put(listed, name, self.index.rows.find(folder, name))
        row = self.index.rows.row(folder)
        above = self._listed.get(row.folder) if row else None
        if row and above is not None and row.name in above:
            self._put(above, row.name, self.index.rows.find(row.folder, row.name))

    def _put(self, listed: dict[str, Seen], name: str, row: Row | None) -> None:
        self._names -= len(listed)
        if row is None:
            listed.pop(name, None)
        else:
            listed[name] = Seen(row.ino, row.rank, row.size, row.mtime_ns)
        self._names += len(listed)

    def _forget_files(self) -> None:
        self._files.clear()
        self._items.clear()

    def _forget(self, row: Row) -> None:
        if row.rank == Rank.FOLDER:
            self._paths = {"": ROOT}
            gone = self._listed.pop(row.ino, None)
            self._names -= len(gone) + 1 if gone is not None else 0

    def _path(self, folder: int) -> str:
        path = self._where.get(folder)
        if path is None:
            if len(self._where) >= KEPT_FOLDERS:
                self._where.clear()
            path = self._where[folder] = self.index.rows.path(folder)
        return path


def _make_room(kept: dict[Any, Any]) -> None:
    if len(kept) >= KEPT_FILES:
        kept.clear()
