"""Looks at what was read, through the mount itself, so that the next reader need not ask for it.

After a read the kernel takes the time of access for another one, drops what it knows of the file
and asks for that at the next `fstat`. (Not of a mount that is `ro`, but that forbids our renames.)
One such question a file was two thirds of a second epoch over small files. So whatever was read to
its end, or listed, is looked at a moment later. `Operations` name the paths.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from syncd.mount.teller import leave_descriptors

PAUSE_S = 0.05
"""So long after its name came an answer has reached the kernel."""
KEPT = 10_000
"""So many may wait, 0.3 s: while there are some, the mount counts as in use now and then."""


class Looks:
    """A thread that looks at paths below a mount point."""

    def __init__(self, point: Path) -> None:
        self._point = str(point)
        self._paths: SimpleQueue[str] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="syncd-mount-look", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, path: str) -> None:
        """Look at this path soon; it begins with a slash."""
        if self._paths.qsize() < KEPT:
            self._paths.put(path)

    def stop(self) -> None:
        """End; a look that is under way is waited for a little, as it keeps the mount in use."""
        self._stop.set()
        self._paths.put("")
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        leave_descriptors()
        while not self._stop.is_set():
            some = {self._paths.get()}
            more = self._paths.qsize()
            if self._stop.wait(PAUSE_S):
                return
            some.update(self._paths.get() for _ in range(more))
            for path in some:
                with suppress(OSError):  # it may be gone
                    os.stat(self._point + path)  # noqa: PTH116 - three times as fast
                if self._stop.is_set():
                    return
