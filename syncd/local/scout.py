"""A second process that looks over a large tree from its end while this one begins at its start.

Listing is one call to the kernel a file, and of Python's threads one at a time comes to make any.
What the scout tells of a folder is its print: where that is the one kept from the last scan,
there is nothing to look at again; elsewhere its word is not needed. So a scout that is late or
dead, or was never sent, costs time and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from syncd.local.ignore import Filter
from syncd.local.listing import Glance
from syncd.local.scan import list_folder
from syncd.value import by_name

ROOM = 1024 * 1024
"""Bytes of glances that wait in the pipe; one is a hundred or so."""
_THREADS = Path("/proc/self/task")


class Scout:
    """What the other process has seen so far. Close it, or use it in a `with` block."""

    def __init__(self, root: Path, filter: Filter) -> None:
        """Send it out. Raises OSError where there can be no other process."""
        if len(list(_THREADS.iterdir())) > 1:
            # Whatever another thread holds at this moment stays locked in the copy for ever.
            raise OSError("a process with threads cannot be copied")
        self._fd, told = os.pipe()
        try:
            self._child = os.fork()
            if self._child == 0:
                _look_over(root, filter, told, self._fd)
        except OSError:
            os.close(self._fd)
            raise
        finally:
            os.close(told)
        os.set_blocking(self._fd, False)
        self._text = b""
        self._glances: dict[str, Glance] = {}

    def glance(self, dir: str) -> Glance | None:
        """What it saw of a folder, told once; None where it has not been."""
        with suppress(BlockingIOError):
            *lines, self._text = (self._text + os.read(self._fd, ROOM)).split(b"\n")
            for glance in (Glance(**json.loads(line)) for line in lines):
                self._glances[glance.dir] = glance
        return self._glances.pop(dir, None)

    def close(self) -> None:
        """Call it back, wherever it is."""
        os.close(self._fd)
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)

    def __enter__(self) -> Scout:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _look_over(root: Path, filter: Filter, told: int, heard: int) -> NoReturn:
    """The life of the other process; it ends when nobody listens any more."""
    try:
        os.close(heard)
        with suppress(OSError):
            fcntl.fcntl(told, fcntl.F_SETPIPE_SZ, ROOM)
        for glance in _from_the_end(os.fspath(root), filter):
            line = json.dumps(by_name(glance)).encode() + b"\n"
            while line:
                line = line[os.write(told, line) :]
    finally:
        os._exit(0)


def _from_the_end(top: str, filter: Filter) -> Iterator[Glance]:
    pending = [""]
    while pending:
        dir = pending.pop()
        found = list_folder(top, dir, filter)
        if found is None or not found.complete:
            continue
        pending += [f"{dir}/{name}" if dir else name for name in found.subdirs]
        if glance := found.glance():
            yield glance
