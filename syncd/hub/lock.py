"""One process at a time owns a hub's data folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from syncd.errors import BusyError

CLOSING_S = 2.0
"""So long one that is closing is waited for: it may have to write what it has in memory."""
_CLOSING = "closing"


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the data folder; BusyError names the process that holds it."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, data)
        _tell(fd, f"{os.getpid()}\n")
        yield
    finally:
        os.close(fd)


def closing(data: Path) -> None:
    """Say that this process, which holds the data folder, is about to let go of it."""
    pid = str(os.getpid())
    with suppress(OSError), (data / "lock").open("r+b") as file:
        if _told(file.fileno()) == [pid]:  # else the folder is another one by now
            _tell(file.fileno(), f"{pid} {_CLOSING}\n")


def _take(fd: int, data: Path) -> None:
    deadline = time.monotonic() + CLOSING_S
    while not _taken(fd):
        pid, *more = _told(fd) or ["unknown"]
        if more != [_CLOSING] or time.monotonic() > deadline:
            raise BusyError(f"another hub runs on this data, process {pid}", path=str(data))
        time.sleep(0.02)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell(fd: int, text: str) -> None:
    # In this order it is never empty; what is left of a longer one is behind the line's end.
    os.pwrite(fd, text.encode(), 0)
    os.ftruncate(fd, len(text))


def _told(fd: int) -> list[str]:
    """The pid of who holds it, and the word behind it."""
    return os.pread(fd, 64, 0).decode(errors="replace").partition("\n")[0].split()
