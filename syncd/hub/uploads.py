"""Big files in parts that can be resumed: bytes so far, digest so far, and the way into the store.

A part is written and digested as it arrives, in stretches of a mebibyte, so memory does not grow
with the file. The digest so far is kept in memory; after a restart it is made again from what is on
disk, so whatever a crash left there is judged by its bytes. One part at a time for one upload.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from syncd.disk import write_each
from syncd.errors import NotFoundError
from syncd.hub import keys
from syncd.hub.limits import UNUSED_DAYS
from syncd.hub.store import Store, full_disk_named

CHUNK = 1024 * 1024
KEEP_SECONDS = UNUSED_DAYS * 86_400


class MismatchError(Exception):
    """The bytes are not those of the announced digest; the upload begins anew."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """One file on its way in. `turn` belongs to whoever sends a part."""

    id: str
    file: Path
    digest: bytes
    size: int
    offset: int = 0
    sum: Any = field(default_factory=sha256)
    loaded: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Uploads:
    """All unfinished uploads, in a folder. The mapping lives in the event loop's thread; what is
    told to block runs on a writer thread, with the upload's turn held."""

    def __init__(self, folder: Path, store: Store) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._store = store
        self._open: dict[str, Upload] = {}
        self._sweeping = threading.Lock()

    def begin(self, digest: bytes, size: int) -> Upload:
        """The upload of this content; the same content continues the same upload."""
        return self._known(f"{digest.hex()}-{size}")

    def find(self, id: str) -> Upload:
        """An upload that was begun; NotFoundError."""
        if id not in self._open and not (self._named(id) and (self._folder / id).exists()):
            raise NotFoundError("there is no such upload: begin it")
        return self._known(id)

    def forget(self, upload: Upload) -> None:
        """It is finished, or its bytes were wrong; who waits for its turn begins anew."""
        upload.loaded = False
        self._open.pop(upload.id, None)

    # -- these block

    def load(self, upload: Upload) -> bool:
        """Know how far it is, unless that takes a `digest_again`; whether the bytes are held.

        Raises FullError, and NotFoundError where it was begun anew while this one waited."""
        if not self._store.missing([upload.digest]):
            upload.file.unlink(missing_ok=True)
            upload.offset = upload.size
            return True
        if not self._kept(upload):
            upload.file.touch(mode=0o600)
            _digest_again(upload)
        if upload.loaded:
            self._store.check_room(upload.size - upload.offset)
        return False

    def digest_again(self, upload: Upload) -> None:
        """Know what an earlier run of the hub left of it, which may take minutes; FullError."""
        _digest_again(upload)
        self._store.check_room(upload.size - upload.offset)

    def write(self, upload: Upload, chunks: Sequence[bytes]) -> None:
        """Append and digest these bytes; raises FullError, NotFoundError, and then the offset is
        where it was."""
        size = sum(map(len, chunks))
        with full_disk_named(), _opened(upload) as fd:
            _append(fd, chunks, upload.offset)
            # Said of pages just written, it begins to bring them to disk: the end waits less.
            with suppress(OSError):
                os.posix_fadvise(fd, upload.offset, size, os.POSIX_FADV_DONTNEED)
        for chunk in chunks:
            upload.sum.update(chunk)
        upload.offset += size

    def finish(self, upload: Upload) -> None:
        """Make a whole file durable and hand it to the store; MismatchError, NotFoundError."""
        if upload.sum.digest() != upload.digest:
            upload.file.unlink(missing_ok=True)
            raise MismatchError("the bytes are not those of the announced digest: begin anew")
        with full_disk_named(), _opened(upload) as fd:
            if os.fstat(fd).st_size != upload.size:
                raise _gone(upload)
            os.fsync(fd)
        self._store.adopt(upload.file, upload.digest, upload.size)

    def sweep(self, now: float) -> int:
        """Remove what nobody went on with for so long; how many."""
        return sum(self._swept(file, now - KEEP_SECONDS) for file in list(self._folder.iterdir()))

    def _swept(self, file: Path, before: float) -> bool:
        with self._sweeping, suppress(FileNotFoundError):  # finished meanwhile
            if file.stat().st_mtime < before:
                self._open.pop(file.name, None)
                file.unlink()
                return True
        return False

    def _kept(self, upload: Upload) -> bool:
        """Whether its file is there, which from now on no sweep takes for old.

        It may have been forgotten or swept since its turn was asked for. Then it goes on, unless
        it was begun anew: two that write to one file would spoil it, each with a right digest."""
        with self._sweeping, suppress(FileNotFoundError):
            if self._open.setdefault(upload.id, upload) is not upload:
                raise _gone(upload)
            os.utime(upload.file)
            return True
        return False

    def _known(self, id: str) -> Upload:
        upload = self._open.get(id)
        if upload is None:
            digest, _, size = id.partition("-")
            fresh = Upload(
                id=id, file=self._folder / id, digest=bytes.fromhex(digest), size=int(size)
            )
            upload = self._open.setdefault(id, fresh)  # a thread may put one back
        return upload

    @staticmethod
    def _named(id: str) -> bool:
        digest, _, size = id.partition("-")
        try:
            keys.digest(digest)
        except keys.BadNameError:
            return False
        return size.isascii() and size.isdigit()


def _digest_again(upload: Upload) -> None:
    upload.sum, upload.offset = sha256(), 0
    with upload.file.open("rb") as file:
        while chunk := file.read(CHUNK):
            upload.sum.update(chunk)
            upload.offset += len(chunk)
    if upload.offset > upload.size:
        os.truncate(upload.file, 0)
        upload.sum, upload.offset = sha256(), 0
    upload.loaded = True


@contextmanager
def _opened(upload: Upload) -> Iterator[int]:
    """Its file, which is never made here: what came before would be missing in a new one."""
    try:
        fd = os.open(upload.file, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _gone(upload) from None
    try:
        yield fd
    finally:
        os.close(fd)


def _gone(upload: Upload) -> NotFoundError:
    upload.loaded = False
    return NotFoundError("this upload has gone meanwhile: begin it anew")


def _append(fd: int, chunks: Sequence[bytes], start: int) -> None:
    try:
        write_each(fd, chunks, start)
    except OSError:
        os.ftruncate(fd, start)
        raise
