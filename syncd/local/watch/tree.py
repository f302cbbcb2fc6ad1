"""The watches on one root and all its folders, and the events they report.

Works on watchdog's inotify reader, and so close to the kernel for what watchdog's own emitter does
not do: watch a new folder before it is listed, pass on the half of a move at once instead of
holding every event back behind it for 0.5 s, and count the folders it could not watch. What must
stay true: a new folder is watched first and its event emitted after, so that whatever was put
into it meanwhile is found; and an event that may be lost is doubted, which costs a scan.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from itertools import count

from watchdog.events import FileSystemEvent
from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from syncd.local.ignore import IGNORE_NAME
from syncd.local.scan import carried, shown
from syncd.local.watch.event import event_of

log = logging.getLogger(__name__)

ODD_NAMES = 1000
"""How many names that are not UTF-8 are remembered as doubted."""

_MADE, _CLOSED = InotifyConstants.IN_CREATE, InotifyConstants.IN_CLOSE_WRITE
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


class Tree:
    """The watches on one root and all its folders, each an inotify watch.

    Once `open`, one thread calls `read` again and again; it alone adds and drops watches, but for
    `retry`. Memory is one entry a folder, nothing per file.
    """

    def __init__(
        self, root: bytes, emit: Callable[[FileSystemEvent], None], doubt: Callable[[str], None]
    ) -> None:
        self._root = root
        self._emit = emit
        self._doubt = doubt
        self._fd = InotifyFD()
        self._fd._is_reading = False  # else what is closed before its first read stays open
        self._ids = count(1)
        self._lock = threading.RLock()
        self._watches: dict[WatchDescriptor, tuple[str, CallbackId]] = {}
        self._missed: dict[str, int] = {}
        self._odd: set[str] = set()
        self._closed = False
        self.lost = False
        """The root was deleted, moved or unmounted: the watches are of no use any more."""

    def open(self) -> None:
        """Watches everything. Raises OSError for the root alone."""
        self._watch("")
        if not self._watches:
            raise OSError(self._missed.get("", errno.ENOENT), "the folder cannot be watched")
        self._watch_below("")

    def read(self) -> None:
        """Takes what has happened, or waits until something does or the tree is closed.

        A file that was made and closed by now is one event: in a burst nearly every one.
        """
        try:
            events = self._fd.read_events()
        except OSError:
            self._fd._is_reading = False
            raise
        closed = {(event.wd, event.name) for event in events if event.mask == _CLOSED}
        for event in events:
            if event.mask != _MADE or (event.wd, event.name) not in closed:
                self._fd.handle_event(event)

    def close(self) -> None:
        """Ends a `read` under way, from any thread; nothing is emitted after that."""
        self._closed = True  # first, so that a walk under way ends
        with self._lock:
            self._fd.close()

    def retry(self) -> None:
        """Tries one of the folders that could not be watched; where it works now, all of them."""
        if not self._missed or not self._lock.acquire(blocking=False):
            return
        try:
            path = next(iter(self._missed))
            code = self._missed.pop(path)
            if self._watch(path) and self._missed.get(path) == code:
                return
            missed, self._missed = [path, *self._missed], {}
            for path in missed:
                self._watch_below(path)
            quietly(self._doubt, "folders could be watched that could not be before")
        finally:
            self._lock.release()

    def short_of(self) -> int:
        """How many watches are needed where the kernel's limit kept some back; else 0."""
        missed = list(self._missed.values())
        return len(self._watches) + len(missed) if errno.ENOSPC in missed else 0

    # Called by `read`, by way of watchdog.

    def on_event(self, event: InotifyEvent) -> None:
        try:
            with self._lock:
                if not self._closed:
                    self._take(event)
        except Exception as error:
            log.exception("an event of %r was lost", self._root)
            quietly(self._doubt, f"an event was lost: {error}")

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
        quietly(self._doubt, "event queue overflow")

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
            self._emit(event_of(path, event.mask))

    def _take_folder(self, path: str, name: str, mask: int) -> None:
        if not _watched(name):
            return
        if mask & (InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO):
            self._watch_below(path)
        elif mask & InotifyConstants.IN_MOVED_FROM:
            self._drop_below(path)
        self._emit(event_of(path, mask))

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
            if self._watch(dir):
                prefix = f"{dir}/" if dir else ""
                pending.extend([prefix + name for name in _folders(self._full(dir))])

    def _watch(self, path: str) -> bool:
        """One folder; False where there is none. Where it cannot be watched, that is noted."""
        id_ = CallbackId(next(self._ids))  # watchdog warns where one is used again
        mask = FOLDER_MASK if path else ROOT_MASK
        try:
            wd = self._fd.add_callback(self._full(path), mask, self, id_)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return False
            self._missed[path] = error.errno or errno.EIO
            return True
        if wd == -1:  # what watchdog makes of EACCES
            self._fd.remove_callbacks([(wd, id_)])
            self._missed[path] = errno.EACCES
            return True
        known = self._watches.get(wd)
        self._watches[wd] = (path, id_)
        if known is not None:
            self._fd.remove_callbacks([(wd, known[1])])
        return True

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


def _folders(path: bytes) -> list[str]:
    """The folders in a folder that can hold candidates; none where it cannot be listed."""
    found = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = os.fsdecode(entry.name)
                if _watched(name) and entry.is_dir(follow_symlinks=False):
                    found.append(name)
    except OSError:
        return found  # gone, or not to be read: the scan says so
    return found


def _watched(name: str) -> bool:
    """Whether a folder of this name can hold candidates: not where it is hidden or refused."""
    return name[0] != "." and carried(name)


def quietly(call: Callable[[str], None], sentence: str) -> None:
    """Calls back without ever letting an exception end the thread that events come in by."""
    try:
        call(sentence)
    except Exception:
        log.exception("could not report: %s", sentence)
