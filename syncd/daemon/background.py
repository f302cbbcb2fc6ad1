"""A mount in the background: a process of its own that outlives the command which began it.

The command returns when the mount answers, or with the child's own words and exit status. A lock
named after the mount point tells who serves it.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from syncd.config.places import places
from syncd.daemon.mount_wanted import Wanted
from syncd.daemon.overview import every_mirror
from syncd.daemon.shorten import shorten
from syncd.errors import BusyError, UsageError
from syncd.mount import point as points
from syncd.state.folder import slug
from syncd.state.lock import FolderLock, holder
from syncd.state.report import MirrorStatus

END_S = 15.0
COPIED_S = 2.0
"""So long after it was unmounted a program ends by itself. Longer takes one whose mount was copied
into another mount namespace, a container's or a service's: it is told that nobody wants it."""
SAY_S = 10.0
"""So long after its mount answers a program may take to say so: its disk may be slow."""


@contextmanager
def claimed(wanted: Wanted) -> Iterator[Wanted]:
    """The mount point made ready and held against others; raises BusyError, UsageError."""
    with FolderLock(_folder(wanted.point), what=f"a mount on {wanted.point}"):
        yield replace(wanted, point=ready(wanted.point))


def ready(point: Path) -> Path:
    """The mount point with its links resolved, fit to be mounted over; BusyError, UsageError."""
    real = Path(os.path.realpath(point))
    for mirror in every_mirror():
        root = _root_over(real, mirror)
        if root:
            raise UsageError(
                f"lies in the watched folder {root}, which would take in what is mounted",
                path=str(point),
                hint="name a folder outside",
            )
    return points.prepare(point)


def _root_over(point: Path, mirror: MirrorStatus) -> Path | None:
    """The watched folder that a place lies in; of a mirror that cannot be read one that may be."""
    above = (point, *point.parents)
    if mirror.root:
        return next((root for root in above if root == Path(mirror.root)), None)
    word = mirror.folder.name.rpartition("-")[0]
    return next((root for root in above if slug(root) == word), None)


def begin(wanted: Wanted, *, quiet: bool) -> tuple[int, str]:
    """Run this very command again, in the background; its exit status (0: it goes on) and what
    it said. Returns when the mount answers and, unless it is a quiet one, says so."""
    point = ready(wanted.point)
    log = places().state / "mount.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shorten(log)
    with log.open("ab") as output:
        start = output.tell()
        child = subprocess.Popen(  # noqa: S603 - our own module, our own interpreter
            [sys.executable, "-m", "syncd", *sys.argv[1:], "--foreground"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    until = math.inf
    while child.poll() is None:
        if points.own_at(point) and holder(_folder(point)) == child.pid:
            point.stat()
            said = _said(log, start)
            if quiet or "mounted on " in said or time.monotonic() > until:
                return 0, said
            until = min(until, time.monotonic() + SAY_S)
        time.sleep(0.02)
    return child.returncode or 1, _said(log, start) or f"it ended at once: see {log}"


def ended(point: Path) -> None:
    """Wait for the end of whoever served a mount point that was unmounted just now."""
    folder, begun = _folder(point), time.monotonic()
    server, told = holder(folder), False
    while server is not None and holder(folder) == server:
        lasted = time.monotonic() - begun
        if lasted > END_S:
            raise BusyError(f"unmounted, but its program (pid {server}) goes on", path=str(point),
                            hint=f"kill -9 {server}")  # fmt: skip
        if lasted > COPIED_S and not told:
            told = True
            with suppress(OSError):
                os.kill(server, signal.SIGTERM)
        time.sleep(0.02)


def _folder(point: Path) -> Path:
    word = sha256(os.path.realpath(point).encode(errors="surrogateescape")).hexdigest()[:16]
    return places().state / "mounts" / word


def _said(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace").strip()
