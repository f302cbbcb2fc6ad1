"""Catalogue and blobs together: one folder that holds everything a backup must hold.

Everything that changes what the hub holds goes through here, one at a time; the bell is rung
after each commit. Threads call in; nothing here knows of HTTP.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

import sqlalchemy as sa

from syncd.clock import Clock, SystemClock
from syncd.hub import batch
from syncd.hub.blobs import LocalBlobs, Place
from syncd.hub.catalogue import Catalogue

GIB = 1024**3


class FullError(Exception):
    """The disk is, or would get, fuller than the low-water mark allows."""


class Store:
    """What the hub holds, in `root`; `min_free` bytes of its disk are left alone."""

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock | None = None,
        min_free: int | None = None,
        bell: Callable[[], None] = lambda: None,
    ) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.clock = clock or SystemClock()
        self._min_free = min_free
        self._bell = bell
        self.catalogue = Catalogue(root / "catalogue.db", self.clock)
        self.blobs = LocalBlobs(root)

    def close(self) -> None:
        self.blobs.close()
        self.catalogue.close()

    def batch(self, dataset: str, by: str, data: bytes | bytearray) -> list[batch.Result]:
        """Do a framed batch; raises FrameError, NotFoundError, FullError and then did nothing."""
        ops = batch.read(data)
        self.catalogue.dataset(id=dataset)
        if any(isinstance(op, batch.Put) for op in ops):
            self.check_room(len(data))
        desk = batch.Desk(dataset=dataset, by=by, now_ns=self.clock.now_ns())
        with self.writing() as tx:
            return batch.apply(tx, self.blobs, desk, ops)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A write transaction; a full disk comes out as FullError, nothing done."""
        with full_disk_named(), self.catalogue.write() as tx:
            yield tx
        self._bell()

    def open(self, digest: bytes) -> tuple[int, int, int]:
        """A file descriptor, offset and size to read a digest's bytes from; NotFoundError.

        A place may be compacted away between looking it up and opening it: look again.
        """
        place, offset, size = self.catalogue.place(digest)
        try:
            return self.blobs.open(Place(place, offset)), offset, size
        except FileNotFoundError:
            place, offset, size = self.catalogue.place(digest)
            return self.blobs.open(Place(place, offset)), offset, size

    def free_bytes(self) -> int:
        """What is left on the disk."""
        disk = os.statvfs(self.root)
        return disk.f_bavail * disk.f_frsize

    def check_room(self, wanted: int) -> None:
        """Raise FullError where `wanted` bytes more would go below the low-water mark."""
        disk = os.statvfs(self.root)
        free = disk.f_bavail * disk.f_frsize
        least = self._min_free
        if least is None:
            least = min(GIB, disk.f_blocks * disk.f_frsize // 50)
        if free - wanted < least:
            raise FullError(
                f"the hub's disk is nearly full: {free} bytes are free, {least} must stay free; "
                "empty the trash or make room"
            )


@contextmanager
def full_disk_named() -> Iterator[None]:
    """Turn whatever a full disk raises into FullError."""
    try:
        yield
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise FullError("the hub's disk is full: empty the trash or make room") from error
        raise
    except sa.exc.OperationalError as error:
        if _says_full(error.orig):
            raise FullError("the hub's disk is full: empty the trash or make room") from error
        raise


def _says_full(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorname.startswith(
        ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
    )
