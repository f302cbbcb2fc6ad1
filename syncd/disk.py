"""Bytes on their way to the disk: written whole, and made durable."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

IOV_MAX = os.sysconf("SC_IOV_MAX")

Piece = bytes | memoryview


def write_each(fd: int, pieces: Sequence[Piece], offset: int) -> None:
    """Write them back to back, without joining them first; OSError where that cannot be."""
    while pieces:
        some, pieces = pieces[:IOV_MAX], pieces[IOV_MAX:]
        done = os.pwritev(fd, some, offset)
        if done < sum(map(len, some)):  # rare: a signal, or a disk that gets full
            pieces = [*_after(some, done), *pieces]
        offset += done


def sync(path: Path) -> None:
    """Make a file's bytes durable, or the names in a folder."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _after(pieces: Sequence[Piece], done: int) -> Iterator[Piece]:
    """What is left of them when so many bytes are written."""
    for piece in pieces:
        if done < len(piece):
            yield memoryview(piece)[done:]
        done = max(0, done - len(piece))
