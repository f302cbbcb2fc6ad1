"""The thread in which a mount's program speaks through its own mount.

Whoever waits for an answer of a mount cannot be killed until the answer comes, or until nobody has
/dev/fuse open any more. If the program itself waits, it keeps /dev/fuse open: killed in that
moment, it would stay for ever. So this thread has a table of descriptors of its own, without
/dev/fuse in it: the other threads' end closes that, and the kernel lets this one go. What is called
here must open and close its own descriptors.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")

CLONE_FILES = 0x400
STANDARD = 2
"""Descriptors up to this one stay: what is printed goes where it goes elsewhere."""


class _Call:
    """A call that is asked for, and what came of it once `done` is set."""

    __slots__ = ("call", "done", "error", "result")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class Teller:
    """A thread that makes calls for others, one after the other, from the first until closed."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._begun = self._closed = False

    def ask(self, call: Callable[[], T]) -> T:
        """What the call returns, made there; raises what it raises, OSError once closed."""
        asked = _Call(call)
        with self._lock:
            if self._closed:
                raise OSError(errno.ENOTCONN, "the mount is being ended")
            if not self._begun:
                self._begun = True
                threading.Thread(target=self._run, name="syncd-mount-tell", daemon=True).start()
            self._calls.put(asked)
        asked.done.wait()
        if asked.error is not None:
            raise asked.error
        result: T = asked.result
        return result

    def close(self) -> None:
        """End once what was asked is answered; that is not waited for, as it may take a while."""
        with self._lock:
            self._closed = True
            self._calls.put(None)

    def _run(self) -> None:
        leave_descriptors()
        while (asked := self._calls.get()) is not None:
            try:
                asked.result = asked.call()
            except BaseException as error:
                asked.error = error
            done = asked.done
            # What it holds must not end in here: it would be closed in the wrong table.
            del asked
            done.set()


def leave_descriptors() -> None:
    """Give this thread a table of descriptors of its own, and close what it took along."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_FILES) != 0:
        reason = os.strerror(ctypes.get_errno())
        log.warning("killed in mid-change this program may stay: unshare refused reason=%s", reason)
        return
    taken = [int(one.name) for one in Path("/proc/thread-self/fd").iterdir()]
    for number in taken:
        with suppress(OSError):  # the listing's own
            if number > STANDARD:
                os.close(number)
