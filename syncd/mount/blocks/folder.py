"""The folder of a block cache: who owns it, and what the last run left in it."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from pathlib import Path

from syncd.errors import BusyError
from syncd.mount.blocks.index import FILE, Index
from syncd.mount.blocks.segment import Segment

log = logging.getLogger(__name__)


class Owner:
    """Holds a folder for as long as anybody refers to this.

    The cache does, and so does each of its segments: who still writes to one when the cache is
    closed would write over what the next owner puts there.
    """

    __slots__ = ("_fd",)

    def __init__(self, folder: Path) -> None:
        """Raises BusyError where another one, in this or another program, owns it."""
        self._fd = _own(folder)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)


def segment_file(folder: Path, number: int) -> Path:
    return _segments(folder) / f"{number:08}"


def _segments(folder: Path) -> Path:
    return folder / "segments"


def _own(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise BusyError(
            "another mount uses this cache", path=str(folder), hint="give each its own folder"
        ) from error
    return fd


def opened(folder: Path, owner: Owner) -> tuple[Index, dict[int, Segment]]:
    """What the last run left; nothing, where that cannot be made out."""
    _segments(folder).mkdir(exist_ok=True, mode=0o700)
    try:
        return _reopen(folder, owner)
    except sqlite3.DatabaseError as error:
        log.warning("the cache in %s is damaged (%s) and begins anew", folder, str(error))
    for file in (*folder.glob(f"{FILE}*"), *_segments(folder).iterdir()):
        file.unlink()
    return _reopen(folder, owner)


def _reopen(folder: Path, owner: Owner) -> tuple[Index, dict[int, Segment]]:
    index = Index(folder / FILE)
    try:
        numbers = index.segments()
        files = {int(f.name): f for f in _segments(folder).iterdir() if f.name.isdecimal()}
        for number in numbers - files.keys():
            index.drop_segment(number)
        for number in files.keys() - numbers:
            files.pop(number).unlink()
        return index, {number: Segment(file, owner) for number, file in files.items()}
    except BaseException:
        index.close()
        raise
