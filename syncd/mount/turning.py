"""Changes of names that the kernel knows, made so that it knows the change.

With `open` answered by ENOSYS and names kept for hours nobody asks us again, so we tell: a file
that is replaced or removed is renamed through our own mount into a hidden folder. Whoever holds it
open or mapped keeps the whole old version there, by a name nobody else finds, and the next one who
asks for the name gets a new inode. A folder that is gone is removed, one whose content changed is
touched, in the same way. Only the follower's thread calls this, holding no lock, and the answer
comes from a thread of libfuse's: in that moment, while the kernel keeps everybody else out of the
folder, the tree changes. Others who try get EROFS.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Protocol

from syncd.mount.names import OLD, Rank
from syncd.mount.rows import ROOT, Row, Step
from syncd.mount.tree import Tree

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""A replacement waits so long for a reader of the old file who waits for the remote."""


class Pending(Protocol):
    """What `Operations` offers to those who change something through the mount."""

    pending: dict[str, object]
    own: set[int]

    def held_up(self, number: int) -> bool: ...


class Turner:
    """Carries out steps for a tree that is shown below `prefix` of a mount point."""

    def __init__(self, tree: Tree, prefix: str = "") -> None:
        self._tree = tree
        self._prefix = prefix
        self._point: Path | None = None
        self._device = 0
        self._operations: Pending | None = None
        self._numbers = count()
        self._touched: set[int] = set()
        self._stop = threading.Event()

    def attach(self, point: Path, operations: Pending) -> None:
        """The mount is there: from now on the kernel is told. Called in the thread that changes."""
        self._device = point.stat().st_dev
        self._point, self._operations = point, operations
        operations.own.add(threading.get_native_id())

    def detach(self) -> None:
        """The mount is about to go: nothing more is said to the kernel."""
        self._stop.set()

    def carry_out(self, step: Step) -> None:
        """Make a step true, in the index and in the kernel."""
        known = self._tree.apply_unless_known(step)
        if known is not None:
            self._turn(step, known)
        self._touched.add(step.folder)

    def refresh(self, row: Row) -> None:
        """The same bytes have another time."""
        self._tree.refresh(row)
        if self._tree.knows(row.ino):
            self._touch(self._where(row.folder, row.name))

    def settle(self) -> None:
        """Have the kernel ask again for the folders that changed since the last call."""
        for folder in self._touched:
            if self._tree.knows(folder):
                self._touch(self._prefixed(self._tree.path(folder)))
        self._touched.clear()

    def _turn(self, step: Step, known: Row) -> None:
        here = self._where(step.folder, step.name)
        number = self._tree.slot | known.ino
        gone = f"{OLD}/{number}.{next(self._numbers)}"
        asked = f"/{here if known.rank == Rank.FOLDER else gone}"
        with self._mounted() as (top, pending):
            if top is None or pending is None:
                self._tree.apply(step)
                return
            self._wait_for_readers(number)
            pending[asked] = lambda: self._tree.apply(step)
            try:
                if known.rank == Rank.FOLDER:
                    os.rmdir(here, dir_fd=top)
                else:
                    os.rename(here, gone, src_dir_fd=top, dst_dir_fd=top)
            except OSError as error:
                log.warning("kernel not told name=%s reason=%s", here, error.strerror)
            if pending.pop(asked, None):  # the kernel did not ask
                self._tree.apply(step)

    def _touch(self, path: str) -> None:
        with self._mounted() as (top, _), suppress(FileNotFoundError):
            if top is not None:
                now = time.time_ns()
                os.utime(path or ".", ns=(now, now), dir_fd=top)

    def _wait_for_readers(self, number: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while self._operations and self._operations.held_up(number):
            if time.monotonic() > until or self._stop.wait(0.02):
                return

    @contextmanager
    def _mounted(self) -> Iterator[tuple[int | None, dict[str, object] | None]]:
        """The mount's own root, if it is still there: what lies below must not be renamed."""
        top = None
        if self._point is not None and self._operations and not self._stop.is_set():
            with suppress(OSError):
                top = os.open(self._point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if top is None or os.fstat(top).st_dev != self._device:
                yield None, None
            else:
                yield top, self._operations.pending if self._operations else None
        finally:
            if top is not None:
                os.close(top)

    def _where(self, folder: int, name: str) -> str:
        above = self._tree.path(folder) if folder != ROOT else ""
        return self._prefixed(f"{above}/{name}" if above else name)

    def _prefixed(self, path: str) -> str:
        return "/".join(part for part in (self._prefix, path) if part)
