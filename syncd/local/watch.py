"""Watches a folder through watchdog's inotify layer and turns every event into a hint.

The engine makes one per mirror, calls `check` about every second, and takes hints and doubts
from the reader's thread: both callbacks must do no more than enqueue. What must stay true: a new
folder is watched first and hinted after, so that whatever was put into it meanwhile is found;
and whenever an event may have been lost, `doubt` is called, which costs a scan.

watchdog's Observer is left aside, its reader and event parser are not: measured, the Observer
takes 55 µs a file over three threads where this takes 18; it holds every event back for 0.5 s
behind a file that is moved out; and it says nothing of folders it could not watch.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from syncd.local.ignore import IGNORE_NAME
from syncd.local.mounts import Mount, mounts_of
from syncd.local.scan import carried, shown

log = logging.getLogger(__name__)

_FOLDER = (
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_EXCL_UNLINK
)
FOLDER_MASK = Mask(_FOLDER | InotifyConstants.IN_DONT_FOLLOW)
"""IN_MODIFY is left out: a file is taken when its writer closes it, and every single write would
cost an event. What is cut by truncate(2) without being opened is found by the next scan."""
ROOT_MASK = Mask(_FOLDER | InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF)

ODD_NAMES = 1000

_SYSCTLS = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something may have changed at `path`, relative to the root.

    `prompt`: whole as far as events can tell, look at once. `tree`: look at everything below it.
    Hidden names are never hinted, but for `.syncdignore`; names that are not UTF-8 neither.
    """

    path: str
    prompt: bool
    tree: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Whether events can be relied on; where not, syncd has to scan now and then, and why."""

    events: bool
    reason: str = ""


class Watcher:
    """Watches one folder for as long as it runs, whatever becomes of the folder meanwhile.

    `deliver` and `doubt` are called from another thread; an exception in them is logged and
    doubted, never passed on. `doubt` gets a sentence: events may have been lost, scan.
    """

    def __init__(
        self, root: Path, deliver: Callable[[Hint], None], doubt: Callable[[str], None]
    ) -> None:
        self._root = root
        self._deliver = deliver
        self._doubt = doubt
        self._tree: _Tree | None = None
        self._place: _Place | None = None
        self._failure = "not started"

    def start(self) -> Coverage:
        """Begins to watch; what was there before is the caller's to scan, afterwards."""
        self._begin()
        return self._coverage()

    def stop(self) -> None:
        """Ends the watch and its thread; nothing is delivered after that."""
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.close()

    def check(self) -> Coverage:
        """Sees that the watch still works, mends it where not, and doubts what it missed."""
        trouble = self._trouble()
        if trouble is None:
            assert self._tree is not None  # noqa: S101 - no trouble means there is one
            self._tree.retry()
            return self._coverage()
        watching = self._tree is not None
        self.stop()
        self._begin()
        if watching or self._tree is not None:
            _quietly(self._doubt, trouble)
        return self._coverage()

    def _begin(self) -> None:
        try:
            self._place = _place(self._root)
            self._tree = _Tree(self._place.path, self._deliver, self._doubt)
            self._tree.open()
        except OSError as error:
            self.stop()
            self._failure = _failure(error)

    def _trouble(self) -> str | None:
        """What is wrong with the watch, as a sentence; None where nothing is."""
        if self._tree is None:
            return "the folder was not watched"
        if not self._tree.alive:
            return "the watch ended by itself"
        try:
            now = _place(self._root)
        except OSError as error:
            return _failure(error)
        if self._place is None or now.identity != self._place.identity or self._tree.lost:
            return "the folder is another one than before"
        if now.mounts != self._place.mounts:
            return "a file system was mounted or unmounted in the folder"
        return None

    def _coverage(self) -> Coverage:
        if self._tree is None or self._place is None:
            return Coverage(events=False, reason=self._failure)
        reason = _foreign(self._place.mounts) or self._tree.shortage()
        return Coverage(events=not reason, reason=reason)


class _Tree:
    """The watches on one root and all its folders, each an inotify watch.

    Called by watchdog's reader thread, which alone adds and drops watches once it runs, but for
    `retry`. Memory is one entry a folder, nothing per file.
    """

    def __init__(
        self, root: bytes, deliver: Callable[[Hint], None], doubt: Callable[[str], None]
    ) -> None:
        self._root = root
        self._deliver = deliver
        self._doubt = doubt
        self._fd = InotifyFD()
        self._fd.name = "syncd-watch"
        self._ids = count(1)
        self._lock = threading.RLock()
        self._watches: dict[WatchDescriptor, tuple[str, CallbackId]] = {}
        self._missed: dict[str, int] = {}
        self._odd: set[str] = set()
        self._closed = False
        self.lost = False
        """The root was deleted, moved or unmounted: the watches are of no use any more."""

    @property
    def alive(self) -> bool:
        return self._fd.is_alive()

    def open(self) -> None:
        """Watches everything, then starts the reader. Raises OSError for the root alone."""
        try:
            self._watch("")
            if not self._watches:
                raise OSError(self._missed.get("", errno.ENOENT), "the folder cannot be watched")
            self._watch_below("")
        finally:
            self._fd.start()  # even where it failed: only its thread closes what it opened

    def close(self) -> None:
        self._closed = True  # first, so that a walk under way ends
        with self._lock:
            self._fd.stop()
        self._fd.join()

    def retry(self) -> None:
        """Tries one of the folders that could not be watched; where it works now, all of them."""
        if not self._missed or not self._lock.acquire(blocking=False):
            return
        try:
            path = next(iter(self._missed))
            code = self._missed.pop(path)
            self._watch_below(path)
            if self._missed.get(path) == code:
                return
            missed, self._missed = list(self._missed), {}
            for path in missed:
                self._watch_below(path)
            _quietly(self._doubt, "folders could be watched that could not be before")
        finally:
            self._lock.release()

    def shortage(self) -> str:
        """The limit that kept folders from being watched, with the value it needs; else ""."""
        missed = list(self._missed.values())
        if errno.ENOSPC not in missed:
            return ""
        needed = len(self._watches) + len(missed)
        return _limit("max_user_watches", f"the {needed} folders here need more", needed)

    # Called by watchdog's reader.

    def on_event(self, event: InotifyEvent) -> None:
        try:
            with self._lock:
                if not self._closed:
                    self._take(event)
        except Exception as error:
            log.exception("an event of %r was lost", self._root)
            _quietly(self._doubt, f"an event was lost: {error}")

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        with self._lock:
            watch = self._watches.pop(wd, None)
            self.lost = self.lost or (watch is not None and not watch[0])

    def on_queue_overflow(self) -> None:
        """Events are gone, those of new folders among them: watches again whatever there is."""
        try:
            with self._lock:
                if not self._closed:
                    self._watch_anew()
        except Exception:
            log.exception("the watches of %r could not be renewed", self._root)
        _quietly(self._doubt, "event queue overflow")

    def _take(self, event: InotifyEvent) -> None:
        watch = self._watches.get(event.wd)
        if watch is None:
            return
        if not event.name:
            self.lost = self.lost or not watch[0]
            return
        name = os.fsdecode(event.name)
        path = f"{watch[0]}/{name}" if watch[0] else name
        if not carried(name):
            self._take_odd(path)
        elif event.mask & InotifyConstants.IN_ISDIR:
            self._take_folder(path, name, event.mask)
        elif name[0] != "." or name == IGNORE_NAME:
            prompt = event.mask & (InotifyConstants.IN_CREATE | InotifyConstants.IN_DELETE) == 0
            self._deliver(Hint(path=path, prompt=prompt, tree=False))

    def _take_folder(self, path: str, name: str, mask: int) -> None:
        if not _watched(name):
            return
        if mask & (InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO):
            self._watch_below(path)
        elif mask & InotifyConstants.IN_MOVED_FROM:
            self._drop_below(path)
        prompt = mask & InotifyConstants.IN_DELETE == 0
        self._deliver(Hint(path=path, prompt=prompt, tree=True))

    def _take_odd(self, path: str) -> None:
        """A name that is not UTF-8 cannot be hinted: a scan reports it, once for each name."""
        if path not in self._odd and len(self._odd) < ODD_NAMES:
            self._odd.add(path)
            self._doubt(f"{shown(path)}: a name that is not UTF-8")

    def _watch_below(self, path: str) -> None:
        """Watches a folder and all below it, each before it is listed, so that none slips by."""
        pending = [path]
        while pending and not self._closed:
            dir = pending.pop()
            self._watch(dir)
            try:
                with os.scandir(self._full(dir)) as entries:
                    for entry in entries:
                        name = os.fsdecode(entry.name)
                        if _watched(name) and entry.is_dir(follow_symlinks=False):
                            pending.append(f"{dir}/{name}" if dir else name)
            except OSError:
                continue  # gone, or not to be read: `_watch` noted it, and the scan says so

    def _watch(self, path: str) -> None:
        """One folder. A fresh id each time: watchdog warns where one is used twice."""
        id_ = CallbackId(next(self._ids))
        mask = FOLDER_MASK if path else ROOT_MASK
        try:
            wd = self._fd.add_callback(self._full(path), mask, self, id_)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self._missed[path] = error.errno or errno.EIO
            return
        if wd == -1:  # what watchdog makes of EACCES
            self._fd.remove_callbacks([(wd, id_)])
            self._missed[path] = errno.EACCES
            return
        known = self._watches.get(wd)
        self._watches[wd] = (path, id_)
        if known is not None:
            self._fd.remove_callbacks([(wd, known[1])])

    def _drop_below(self, path: str) -> None:
        """Stops watching a folder that was moved; where it came to, it is watched anew."""
        inside = path + "/"
        self._drop([wd for wd, (at, _) in self._watches.items() if f"{at}/".startswith(inside)])
        for missed in [at for at in self._missed if f"{at}/".startswith(inside)]:
            del self._missed[missed]

    def _watch_anew(self) -> None:
        """As `_watch_below` for the root; watches whose folder was not met again are dropped."""
        before = dict(self._watches)
        self._missed.clear()
        self._watch_below("")
        self._drop([wd for wd, watch in before.items() if self._watches.get(wd) == watch])

    def _drop(self, wds: list[WatchDescriptor]) -> None:
        self._fd.remove_callbacks([(wd, self._watches.pop(wd)[1]) for wd in wds])

    def _full(self, path: str) -> bytes:
        return self._root + b"/" + os.fsencode(path) if path else self._root


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the root is now: its real path, what it is, and the mounts that matter to it."""

    path: bytes
    identity: tuple[int, int]
    mounts: tuple[Mount, ...]


def _place(root: Path) -> _Place:
    path = os.fsencode(os.path.realpath(root))
    found = Path(os.fsdecode(path)).stat()
    return _Place(path=path, identity=(found.st_dev, found.st_ino), mounts=mounts_of(path))


def _foreign(mounts: tuple[Mount, ...]) -> str:
    """Says which file system is changed from elsewhere, without an event; "" where none is."""
    for mount in mounts:
        if mount.elsewhere:
            where = os.fsdecode(mount.point)
            return f"{where} is on {mount.type}: changes made elsewhere send no events"
    return ""


def _watched(name: str) -> bool:
    """Whether a folder of this name can hold candidates: not where it is hidden or refused."""
    return name[0] != "." and carried(name)


def _failure(error: OSError) -> str:
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


def _quietly(call: Callable[[str], None], sentence: str) -> None:
    """Calls back without ever letting an exception end the thread that events come in by."""
    try:
        call(sentence)
    except Exception:
        log.exception("could not report: %s", sentence)
