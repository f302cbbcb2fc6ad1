"""Where the bytes lie: content-addressed, durable before anyone is told so.

`Store` calls it under its write lock; reading needs no lock. Small bodies are appended to pack
files with one `fdatasync` a batch (70,000 files/s measured, against 2,000 with a file and fsync
each); finished big uploads are moved in as files of their own. A place is meaningless until the
catalogue recorded it: bytes at the end of a pack that nobody recorded are just dead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

PACK_BYTES = 64 * 1024 * 1024
Body = bytes | memoryview


class Place(NamedTuple):
    """Where a body lies: the pack or file by name, and the offset inside it."""

    name: str
    offset: int


class BlobStore(Protocol):
    """Durable bytes by place; a folder here, an object store later."""

    def append(self, bodies: Sequence[Body]) -> list[Place]:
        """Store all or none of these; they are durable when this returns."""
        ...

    def adopt(self, file: Path, digest: bytes) -> Place:
        """Take over a finished file; it and its new name are durable when this returns."""
        ...

    def read(self, place: Place, size: int) -> bytes: ...

    def open(self, place: Place) -> int:
        """A file descriptor to `pread` from, at the place's offset; the caller closes it."""
        ...

    def drop(self, name: str) -> int:
        """Remove a whole pack or file; return the bytes that came back. Missing ones are fine."""
        ...

    def close(self) -> None: ...


class LocalBlobs:
    """Packs and files in one folder: `packs/00000001` and `files/ab/<digest>`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in ("packs", "files"):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd: int | None = None
        self._name = ""
        self._end = 0

    def append(self, bodies: Sequence[Body]) -> list[Place]:
        if not bodies:
            return []
        fd = self._pack()
        start = at = self._end
        places = []
        for body in bodies:
            places.append(Place(self._name, at))
            at += len(body)
        try:
            _write_all(fd, b"".join(bodies), start)
            os.fdatasync(fd)
        except OSError:
            self._abandon(start)
            raise
        self._end = at
        return places

    def adopt(self, file: Path, digest: bytes) -> Place:
        text = digest.hex()
        target = self._root / "files" / text[:2] / text
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700)
            sync_folder(target.parent.parent)
        file.rename(target)
        sync_folder(target.parent)
        return Place(f"files/{text[:2]}/{text}", 0)

    def read(self, place: Place, size: int) -> bytes:
        fd = self.open(place)
        try:
            return os.pread(fd, size, place.offset)
        finally:
            os.close(fd)

    def open(self, place: Place) -> int:
        return os.open(self._root / place.name, os.O_RDONLY | os.O_CLOEXEC)

    def drop(self, name: str) -> int:
        path = self._root / name
        if name == self._name:
            self._leave()
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        sync_folder(path.parent)
        return size

    def names(self) -> Iterator[tuple[str, int]]:
        """Every pack and file that is there, with its length in bytes."""
        for path in (*self._root.glob("packs/*"), *self._root.glob("files/*/*")):
            with suppress(FileNotFoundError):
                yield str(path.relative_to(self._root)), path.stat().st_size

    def close(self) -> None:
        self._leave()

    def _pack(self) -> int:
        """The pack to append to: the newest while there is room in it, else a fresh one."""
        if self._fd is not None and self._end < PACK_BYTES:
            return self._fd
        newest = max((int(p.name) for p in (self._root / "packs").iterdir()), default=0)
        if self._fd is None and newest and self._open(newest) < PACK_BYTES:
            assert self._fd is not None
            return self._fd
        self._leave()
        self._open(newest + 1)
        sync_folder(self._root / "packs")
        assert self._fd is not None
        return self._fd

    def _open(self, number: int) -> int:
        self._name = f"packs/{number:08}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self._root / self._name, flags, 0o600)
        self._end = os.fstat(self._fd).st_size
        return self._end

    def _leave(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd = None
        self._name = ""

    def _abandon(self, start: int) -> None:
        """After a failed write: give the room back, and trust this pack's pages no further."""
        if self._fd is not None:
            with suppress(OSError):
                os.ftruncate(self._fd, start)
            self._end = PACK_BYTES


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        view = view[done:]
        offset += done


def sync_folder(path: Path) -> None:
    """Make the names in this folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
