"""One append-only file of the block cache.

A reader holds the segment while it reads: the descriptor is closed when the last one lets go, so
that a segment may be given up at any time without anybody reading from a descriptor of another.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from syncd.disk import Piece, write_each


class Segment:
    """A numbered file; `end` and `used` belong to the cache's lock."""

    __slots__ = ("_owner", "end", "fd", "number", "path", "used")

    def __init__(self, path: Path, owner: object) -> None:
        """`owner` is held as long as the segment is."""
        self._owner = owner
        self.path = path
        self.number = int(path.name)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.fstat(self.fd)
        self.end = found.st_size
        self.used = found.st_mtime
        """When something was last read from it or written to it; kept over runs as its mtime."""

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.fd, length, offset)

    def write(self, offset: int, pieces: Sequence[Piece]) -> None:
        """Write all of them, back to back; OSError where the disk is full or broken."""
        write_each(self.fd, pieces, offset)

    def remember(self) -> None:
        """Leave the time of the last use for the next run."""
        os.utime(self.fd, (self.used, self.used))
