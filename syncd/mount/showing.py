"""Makes a tree show items as they are: row by row, and later what somebody stands in the way of.

Used by the one thread that follows a dataset. An item shown twice changes nothing.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

from syncd.model import Item, ItemState
from syncd.mount.filling import SOME, rows_of
from syncd.mount.marks import Marks
from syncd.mount.names import Rank, place
from syncd.mount.rows import ROOT, Row, Step
from syncd.mount.tree import Tree
from syncd.mount.turning import NotNowError, Turner

log = logging.getLogger(__name__)

_RENAMED = "shown under another name item=%r as=%r"
_HIDDEN = "several things have this name, one is shown path=%r"


class Showing:
    """Turns what is known of items into steps of the tree."""

    def __init__(self, tree: Tree, turner: Turner) -> None:
        self._tree = tree
        self._index = tree.index
        self._turner = turner
        self._later: dict[str, tuple[Item, bytes | None]] = {}
        """Items, and their sidecars, that somebody stands in the way of; the others go on."""

    @property
    def behind(self) -> bool:
        """Whether something waits to be shown."""
        return bool(self._later)

    def catch_up(self) -> None:
        """Try again what waits."""
        for item, sidecar in list(self._later.values()):
            self.show(item, sidecar)
        self._turner.settle()

    def drop(self) -> None:
        """Forget what waits: all of it is said anew."""
        self._later.clear()

    def settle(self) -> None:
        """Have the kernel ask again for the folders that changed since the last call."""
        self._turner.settle()

    def only(self, rows: Marks) -> None:
        """Show no items any more but those of these rows."""
        number = 0
        while True:
            with self._tree.lock:
                some = self._index.rows.items(number, SOME)
            if not some:
                break
            for number, id in some:
                if number not in rows:
                    self.show(Item(key="", id=id, state=ItemState.PURGED), None)
        self._turner.settle()

    def show(self, item: Item, sidecar: bytes | None) -> None:
        """Make the tree show an item as it is now, or later where somebody is in the way."""
        try:
            self._say(item, sidecar)
            self._later.pop(item.id, None)
        except NotNowError as error:
            if item.id not in self._later:
                log.warning("shown later than it came %s", error)
            self._later[item.id] = (item, sidecar)

    def _say(self, item: Item, sidecar: bytes | None) -> None:
        with self._tree.lock:
            before = self._index.rows.of_item(item.id)
        rows = list(rows_of(item, sidecar)) if item.state == ItemState.PRESENT else []
        for kind in (False, True):
            olds = [row for row in before if (row.rank == Rank.SIDECAR) == kind]
            new = next((row for row in rows if (row.rank == Rank.SIDECAR) == kind), None)
            if new is not None:
                new = new._replace(folder=self._folder(place(item.key).folders))
            here = [row for row in olds if new and row[1:3] == new[1:3]]
            old = next(iter(here or olds), None)
            self._change(old, new)
            for left in olds:
                if left is not old:  # killed between the two halves of a move
                    self._change(left, None)

    def _change(self, old: Row | None, new: Row | None) -> None:
        if old and new and old.same(new):
            if (old.mtime_ns, old.version) != (new.mtime_ns, new.version):
                self._turner.refresh(new._replace(ino=old.ino))
            return
        new = new._replace(ino=self._index.number()) if new else None
        if old and new and (old.folder, old.name) == (new.folder, new.name):
            self._turner.carry_out(Step(folder=new.folder, name=new.name, remove=old, add=new))
            return
        if new:
            self._turner.carry_out(Step(folder=new.folder, name=new.name, add=new))
            self._tell(new)
        if old:
            self._turner.carry_out(Step(folder=old.folder, name=old.name, remove=old))
            self._prune(old.folder)

    def report(self) -> None:
        """Say which items are shown under other names, or not at all: a scan of the index."""
        try:
            with self._index.aside() as rows:
                for row in rows.renamed():
                    log.warning(_RENAMED, row.key, row.name)
                for folder, name in rows.hidden():
                    log.warning(_HIDDEN, _joined(rows.path(folder), name))
        except sqlite3.Error:
            log.exception("names not looked through")

    def _tell(self, new: Row) -> None:
        """The same of a row that came just now."""
        if new.key is not None:
            log.warning(_RENAMED, new.key, new.name)
        with self._tree.lock:
            several = self._index.rows.several(new.folder, new.name)
        if several:
            log.warning(_HIDDEN, _joined(self._tree.path(new.folder), new.name))

    def _folder(self, folders: Sequence[str]) -> int:
        """The folder at this place, made where it is not there."""
        at = ROOT
        for name in folders:
            with self._tree.lock:
                found = self._index.rows.find(at, name)
            if found is None or found.rank != Rank.FOLDER:
                found = Row(self._index.number(), at, name, Rank.FOLDER, 0, 0)
                self._turner.carry_out(Step(folder=at, name=name, add=found))
                self._tell(found)
            at = found.ino
        return at

    def _prune(self, folder: int) -> None:
        """Remove folders that hold nothing any more."""
        while folder != ROOT:
            with self._tree.lock:
                row = self._index.rows.row(folder)
                if row is None or self._index.rows.more_than(folder, 0):
                    return
            self._turner.carry_out(Step(folder=row.folder, name=row.name, remove=row))
            folder = row.folder


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
