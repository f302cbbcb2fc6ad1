"""Catalogue and blobs together: one folder that holds everything a backup must hold.

Everything that changes what the hub holds goes through `writing`, one at a time; the bell is rung
after each commit. The whole store can be exchanged for another while it is open. Threads call in;
nothing here knows of HTTP.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from syncd.clock import Clock, SystemClock
from syncd.disk import sync
from syncd.errors import NotFoundError
from syncd.hub import batch as batches
from syncd.hub import catalogue, ops, schema
from syncd.hub.blobs import BlobStore, LocalBlobs, Place
from syncd.hub.catalogue import Catalogue, DatasetRow
from syncd.hub.desk import Desk

GIB = 1024**3


class FullError(Exception):
    """The disk is, or would get, fuller than the low-water mark allows."""


class RestoredError(Exception):
    """A backup took the place of what a change was meant for: it is to be decided anew."""


class _Open(NamedTuple):
    catalogue: Catalogue
    blobs: BlobStore

    def close(self) -> None:
        self.blobs.close()
        self.catalogue.close()


class Store:
    """What the hub holds, below `data`; `min_free` bytes of its disk are left alone."""

    def __init__(
        self,
        data: Path,
        *,
        clock: Clock | None = None,
        min_free: int | None = None,
        bell: Callable[[], None] = lambda: None,
    ) -> None:
        self.data = data
        for leftover in (data / "stores").glob("*.part"):
            shutil.rmtree(leftover)
        self.root = current(data)
        self.clock = clock or SystemClock()
        self._min_free = min_free
        self._bell = bell
        self._writer = threading.Lock()
        self._now = _opened(self.root)
        self._past: list[_Open] = []

    @property
    def catalogue(self) -> Catalogue:
        return self._now.catalogue

    @property
    def blobs(self) -> BlobStore:
        """Belongs to whoever is in `writing`."""
        return self._now.blobs

    def close(self) -> None:
        with self._writer:
            for some in (self._now, *self._past):
                some.close()

    def batch(
        self, dataset: str, by: str, data: bytes | bytearray, meant: Catalogue | None = None
    ) -> list[ops.Result]:
        """Do a framed batch; raises FrameError, NotFoundError, FullError, RestoredError and then
        did nothing."""
        return self.apply(dataset, by, ops.read(data), meant)

    def apply(
        self, dataset: str, by: str, some: Sequence[ops.Op], meant: Catalogue | None = None
    ) -> list[ops.Result]:
        """Do these operations in order, all in one transaction of the store they are `meant` for:
        the one of now, where nobody says."""
        meant = meant or self.catalogue
        puts = [op for op in some if isinstance(op, ops.Put)]
        if puts:
            self.check_room(sum(op.size for op in puts if op.body is not None))
        desk = Desk(dataset=dataset, by=by, now_ns=self.clock.now_ns())
        with self.writing(meant) as tx:
            return batches.apply(tx, self.blobs, desk, some)

    def make_dataset(self, name: str) -> tuple[DatasetRow, bool]:
        """Make it or find it; and whether it was made."""
        with self.writing() as tx:
            return catalogue.make_dataset(tx, name, self.clock.now_ns())

    def adopt(self, file: Path, digest: bytes, size: int) -> None:
        """Take over a finished upload whose bytes are durable and were digested."""
        with self.writing() as tx:
            if catalogue.held(tx, [digest]):
                file.unlink()
                return
            place = self.blobs.adopt(file, digest)
            batches.record(tx, [(digest, size, place)], self.clock.now_ns())

    def missing(self, digests: Sequence[bytes]) -> list[bytes]:
        """Those of the digests whose bytes are not held."""
        with self.catalogue.read() as tx:
            known = catalogue.held(tx, digests)
        return [digest for digest in dict.fromkeys(digests) if digest not in known]

    @contextmanager
    def writing(self, meant: Catalogue | None = None) -> Iterator[sa.Connection]:
        """The one write transaction; a full disk comes out as FullError, nothing done.

        RestoredError where the catalogue is not the one it was meant for, as it was when whoever
        asks for the change came in: the restore may be there to undo just this."""
        with full_disk_named(), self._writer:
            if meant not in (None, self.catalogue):
                raise RestoredError("the hub was restored from a backup meanwhile: ask again")
            with self.catalogue.write() as tx:
                yield tx
        self._bell()

    def open(self, digest: bytes) -> tuple[int, int, int]:
        """A file descriptor, offset and size to read a digest's bytes from; NotFoundError.

        A place may be given up between looking it up and opening it: then it is looked up again.
        """
        for _ in range(3):
            now = self._now
            with now.catalogue.read() as tx:
                row = tx.execute(_PLACE, {"wanted": digest}).one_or_none()
            if row is None:
                break
            with suppress(FileNotFoundError):
                return now.blobs.open(Place(row.place, row.offset)), row.offset, row.size
        raise NotFoundError("the content is gone")

    def check_room(self, wanted: int) -> None:
        """Raise FullError where `wanted` bytes more would go below the low-water mark."""
        disk = os.statvfs(self.root)
        free = disk.f_bavail * disk.f_frsize
        least = self._min_free
        if least is None:
            least = min(GIB, disk.f_blocks * disk.f_frsize // 50)
        if free - wanted < least:
            raise FullError(
                f"the hub's disk is nearly full: {wanted} bytes are wanted, {free} bytes are free "
                f"and {least} must stay free; empty the trash or make room"
            )

    def swap(self, following: Path) -> Path:
        """Go on with another store's folder; return where the old one is kept.

        Batches wait meanwhile. What still reads from the old store goes on doing so. The change
        sequence never steps back, and the generation tells every client that this happened.
        """
        fresh = _opened(following)
        with self._writer:
            try:
                with self.catalogue.read() as tx:
                    seq = catalogue.head(tx)
                fresh.catalogue.renew(seq)
                point(self.data, following)
            except BaseException:
                fresh.close()
                raise
            kept, self.root = self.root, following
            self._past.append(self._now)
            self._now = fresh
        self._bell()
        return kept


def _opened(root: Path) -> _Open:
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _Open(Catalogue(root / "catalogue.db"), LocalBlobs(root))


def current(data: Path) -> Path:
    """The folder of the store that counts; made where there is none yet."""
    try:
        return data / "stores" / (data / "current").read_text().strip()
    except FileNotFoundError:
        first = data / "stores" / "1"
        first.mkdir(parents=True, exist_ok=True, mode=0o700)
        point(data, first)
        return first


def point(data: Path, root: Path) -> None:
    """Make this the store that counts, durably and in one step."""
    fresh = data / "current.new"
    with fresh.open("w") as out:
        out.write(f"{root.name}\n")
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(data / "current")
    sync(data)


_PLACE = sa.select(schema.blobs.c.place, schema.blobs.c.offset, schema.blobs.c.size).where(
    schema.blobs.c.digest == sa.bindparam("wanted")
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
    except (sa.exc.OperationalError, sqlite3.Error) as error:
        if _says_full(getattr(error, "orig", error)):
            raise FullError("the hub's disk is full: empty the trash or make room") from error
        raise


def _says_full(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorname.startswith(
        ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
    )
