"""Changes of names that the kernel knows, made so that it knows the change.

With `open` answered by ENOSYS and names kept for hours nobody asks us again, so we tell: a file
that is replaced or removed is renamed through our own mount into a hidden folder. Whoever holds it
open or mapped keeps the whole old version there, by a name nobody else finds, and the next one who
asks for the name gets a new inode. A folder that is gone is removed, one whose content changed is
touched, in the same way. Only the follower's thread calls this, holding no lock; the `Teller` makes
the call, and the answer comes from a thread of libfuse's: in that moment, while the kernel keeps
everybody else out of the folder, the tree changes. Others who try get EROFS. Where the kernel
cannot be told, nothing changes: better old than a mix.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Protocol

from syncd.errors import SyncdError
from syncd.mount import point as points
from syncd.mount.names import OLD, Rank
from syncd.mount.rows import ROOT, Row, Step
from syncd.mount.teller import Teller
from syncd.mount.tree import Tree

log = logging.getLogger(__name__)

MOMENT_S = 0.25
"""A read that takes longer is a slow one: what it reads is replaced later."""
PATIENCE_S = 60.0
"""But not later than this: then whoever looks into the folder waits for that read as well."""


class NotNowError(SyncdError):
    """Somebody stands in the way of this one change: it is to be made later."""


class Pending(Protocol):
    """What `Operations` offers to those who change something through the mount."""

    pending: dict[str, Callable[[], None]]
    own: set[int]

    def lasting(self, number: int) -> float: ...


class Turner:
    """Carries out steps for a tree that is shown below `prefix` of a mount point."""

    def __init__(
        self, tree: Tree, prefix: str = "", gone: Callable[[Row], None] = lambda row: None
    ) -> None:
        """`gone` is told of each file that went while somebody may hold it."""
        self._tree = tree
        self._gone = gone
        self._prefix = prefix
        self._point: Path | None = None
        self._device = 0
        self._operations: Pending | None = None
        self._numbers = count()
        self._touched: set[int] = set()
        self._slow: dict[int, float] = {}
        self._teller = Teller()

    def attach(self, point: Path, operations: Pending) -> None:
        """The mount is there: from now on the kernel is told."""
        self._device = self._teller.ask(point.stat).st_dev
        operations.own.add(self._teller.ask(threading.get_native_id))
        self._point, self._operations = point, operations
        self._touched.add(ROOT)  # another dataset may have been there

    def detach(self) -> None:
        """The mount is about to go: nothing more is said to the kernel."""
        self._teller.close()

    def carry_out(self, step: Step) -> None:
        """Make a step true, in the index and in the kernel; raises SyncdError, and changes
        nothing, where the kernel cannot be told, NotNowError where others need not wait for it."""
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
        operations = self._operations
        if operations is None:  # there is no mount yet, so nobody holds anything
            self._tree.apply(step)
            return
        here = self._where(step.folder, step.name)
        if known.rank == Rank.FOLDER:
            self._ask(operations, step, f"/{here}", lambda top: os.rmdir(here, dir_fd=top))
            return
        number = self._tree.slot | known.ino
        self._let_read(operations, number, step.name)
        gone = f"{OLD}/{number}.{next(self._numbers)}"
        self._ask(
            operations, step, f"/{gone}",
            lambda top: os.rename(here, gone, src_dir_fd=top, dst_dir_fd=top),
        )  # fmt: skip
        self._gone(known)

    def _ask(
        self, operations: Pending, step: Step, asked: str, change: Callable[[int], None]
    ) -> None:
        """Have the kernel ask for `asked`, and make the step true in that moment."""
        done = threading.Event()
        reason = "it did not ask"

        def apply() -> None:
            self._tree.apply(step)
            done.set()

        operations.pending[asked] = apply
        try:
            self._tell(change)
        except OSError as error:
            reason = str(error.strerror)
            if error.errno == errno.EBUSY:
                raise NotNowError("something else is mounted on it", path=step.name) from error
            if error.errno == errno.ENAMETOOLONG:  # it never can be told, and must not stop all
                log.warning("kernel not told, too long a path name=%r", step.name)
                apply()
        finally:
            operations.pending.pop(asked, None)
        if not done.is_set():
            raise SyncdError(f"the kernel was not told of a change: {reason}", path=step.name)

    def _touch(self, path: str) -> None:
        now = time.time_ns()
        try:
            self._tell(lambda top: os.utime(path or ".", ns=(now, now), dir_fd=top))
        except OSError as error:  # its time is shown late, its content is not
            if error.errno not in (errno.ENOENT, errno.ENOTCONN):
                log.warning("kernel not told of a time path=%r reason=%s", path, error.strerror)

    def _let_read(self, operations: Pending, number: int, name: str) -> None:
        """Give a read of the old file, for which libfuse would have us wait in the kernel, a moment
        to end; raises NotNowError where it takes longer."""
        begun = time.monotonic()
        since = self._slow.pop(number, begun)
        while 0 < (lasts := operations.lasting(number)) < MOMENT_S:
            if time.monotonic() - begun > MOMENT_S:
                return  # one after the other reads it, none for long
            time.sleep(0.002)
        if lasts and begun - since < PATIENCE_S:
            self._slow[number] = since
            raise NotNowError("somebody reads it, and waits for the remote", path=name)

    def _tell(self, change: Callable[[int], None]) -> None:
        """Change something below the mount's own root; raises OSError, also where that cannot be
        reached: nothing that lies over or under it may be renamed."""

        def below() -> None:
            top = self._top()
            try:
                change(top)
            finally:
                os.close(top)

        if self._point:
            self._teller.ask(below)

    def _top(self) -> int:
        """The mount's root, opened; folders above it may have been renamed since it was mounted."""
        for point in self._places():
            with suppress(FileNotFoundError, NotADirectoryError):
                top = os.open(point or "", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                if os.fstat(top).st_dev == self._device:
                    self._point = point
                    return top
                os.close(top)
        raise OSError(errno.ENOTCONN, "the mount point cannot be reached")

    def _places(self) -> Iterator[Path | None]:
        yield self._point
        yield points.now_at(self._device)

    def _where(self, folder: int, name: str) -> str:
        above = self._tree.path(folder) if folder != ROOT else ""
        return self._prefixed(f"{above}/{name}" if above else name)

    def _prefixed(self, path: str) -> str:
        return "/".join(part for part in (self._prefix, path) if part)
