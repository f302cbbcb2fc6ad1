"""Keeps a folder watched for as long as it runs: supervises, mends, and says what is not covered.

The daemon makes one per mirror, calls `check` about every second, and takes hints and doubts
from the observer's threads: both callbacks must do no more than enqueue.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from syncd.local.hint import Hint
from syncd.local.mounts import Mount, mounts_of
from syncd.local.watch.observer import TreeObserver
from syncd.local.watch.tree import quietly
from syncd.value import value

_SYSCTLS = Path("/proc/sys/fs/inotify")


@value
class Coverage:
    """Whether events can be relied on; where not, syncd has to scan now and then, and why."""

    events: bool
    reason: str = ""


class Watcher:
    """Watches one folder for as long as it runs, whatever becomes of the folder meanwhile.

    `deliver` and `doubt` are called from other threads; an exception in them is logged and
    doubted, never passed on. `doubt` gets a sentence: events may have been lost, scan.
    """

    def __init__(
        self, root: Path, deliver: Callable[[Hint], None], doubt: Callable[[str], None]
    ) -> None:
        self._root = root
        self._deliver = deliver
        self._doubt = doubt
        self._observer: TreeObserver | None = None
        self._place: _Place | None = None
        self._failure = "not started"

    def start(self) -> Coverage:
        """Begins to watch; what was there before is the caller's to scan, afterwards."""
        self._begin()
        return self._coverage()

    def stop(self) -> None:
        """Ends the watch and its threads; nothing is delivered after that."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.end()

    def check(self) -> Coverage:
        """Sees that the watch still works, mends it where not, and doubts what it missed."""
        trouble = self._trouble()
        if trouble is None:
            assert self._observer is not None  # noqa: S101 - no trouble means there is one
            self._observer.tree.retry()
            return self._coverage()
        watching = self._observer is not None
        self.stop()
        self._begin()
        if watching or self._observer is not None:
            quietly(self._doubt, trouble)
        return self._coverage()

    def _begin(self) -> None:
        try:
            self._place = _place(self._root)
            self._observer = TreeObserver(self._place.path, self._deliver, self._doubt)
            self._observer.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread is to be had
            self.stop()
            self._failure = _failure(error)

    def _trouble(self) -> str | None:
        """What is wrong with the watch, as a sentence; None where nothing is."""
        if self._observer is None:
            return "the folder was not watched"
        if not self._observer.alive:
            return "the watch ended by itself"
        try:
            now = _place(self._root)
        except OSError as error:
            return _failure(error)
        lost = self._observer.tree.lost
        if self._place is None or now.identity != self._place.identity or lost:
            return "the folder is another one than before"
        if now.mounts != self._place.mounts:
            return "a file system was mounted or unmounted in the folder"
        return None

    def _coverage(self) -> Coverage:
        if self._observer is None or self._place is None:
            return Coverage(events=False, reason=self._failure)
        reason = _foreign(self._place.mounts) or _shortage(self._observer.tree.short_of())
        return Coverage(events=not reason, reason=reason)


@value
class _Place:
    """Where the root is now: its real path, what it is, and the mounts that matter to it."""

    path: bytes
    identity: tuple[int, int]
    mounts: tuple[Mount, ...]


def _place(root: Path) -> _Place:
    path = os.fsencode(os.path.realpath(root))
    found = Path(os.fsdecode(path)).stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder")
    return _Place(path=path, identity=(found.st_dev, found.st_ino), mounts=mounts_of(path))


def _foreign(mounts: tuple[Mount, ...]) -> str:
    """Says which file system is changed from elsewhere, without an event; "" where none is."""
    for mount in mounts:
        if mount.elsewhere:
            where = os.fsdecode(mount.point)
            return f"{where} is on {mount.type}: changes made elsewhere send no events"
    return ""


def _shortage(needed: int) -> str:
    if not needed:
        return ""
    return _limit("max_user_watches", f"the {needed} folders here need more", needed)


def _failure(error: OSError | RuntimeError) -> str:
    if isinstance(error, RuntimeError):
        return f"the folder cannot be watched: {error}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "the folder is missing"
    if error.errno == errno.EMFILE:
        return _limit("max_user_instances", "all are in use", 0)
    if error.errno == errno.ENOSPC:
        return _limit("max_user_watches", "all are in use", 0)
    return f"the folder cannot be watched: {os.strerror(error.errno or errno.EIO)}"


def _limit(name: str, why: str, needed: int) -> str:
    """Names the sysctl, what it is and what it should be: twice the need, others watch too."""
    try:
        now = int((_SYSCTLS / name).read_text())
    except (OSError, ValueError):
        now = 0
    value = max(2 * needed, 2 * now, 256)
    return f"fs.inotify.{name} is {now} and {why}: sysctl fs.inotify.{name}={value}"
