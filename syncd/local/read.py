"""Reads one file whole, or says why it cannot be had whole now.

Called by the engine's workers. A read lease asked for and given back at once tells whether any
writer has the file open; `fstat` before and after tells whether it changed under the reader.
The digest is of the very bytes read. Nothing is opened that a link leads out of the root, and
a FIFO or device in the file's place neither blocks nor is read.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import stat
import time
from functools import lru_cache
from pathlib import Path
from typing import Self

from syncd.errors import LocalError, UnreadableError, UnsettledError, VanishedError
from syncd.local.listing import stat_of
from syncd.model import Stat
from syncd.value import value

PIECE = 1024 * 1024

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_MULTIGRAIN = (6, 13)
_COARSE_NS = 20_000_000


class LeaselessError(UnsettledError):
    """No lease to be had here (not the owner, or the file system): look twice instead."""


@value
class Content:
    """A file's bytes as they were read; `data` is None for one larger than what was to be kept."""

    stat: Stat
    digest: str
    data: bytes | None


def read(root: Path, path: str, *, keep: int, settled: bool) -> Content:
    """As `Inside.read`, for one file alone."""
    with Inside(root) as inside:
        return inside.read(path, keep=keep, settled=settled)


class Inside:
    """Reads files below a root that lie in it, also by links; best one folder after the other.

    The folder read last is kept open, and is known to lie inside: a file in it that is no link
    does too. To ask that of every file took a tenth of the time of a small one.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._folder = -1
        self._dir: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def read(self, path: str, *, keep: int, settled: bool) -> Content:
        """Reads and digests `path`, keeping the bytes of a file of up to `keep` bytes.

        `settled` says that the caller saw the file equal at two looks far enough apart: then it is
        read although a writer has it open or no lease is to be had. Raises VanishedError,
        UnsettledError (open for writing, changed while it was read), LeaselessError,
        UnreadableError.
        """
        try:
            fd = self._open(path)
            try:
                return _read(fd, path, keep=keep, settled=settled)
            finally:
                os.close(fd)
        except OSError as error:
            raise _explained(error, path) from error

    def _open(self, path: str) -> int:
        dir, _, name = path.rpartition("/")
        if dir != self._dir:
            self._enter(dir, path)
        try:
            return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=self._folder)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        return self._checked(os.open(name, _FLAGS, dir_fd=self._folder), path)

    def _enter(self, dir: str, path: str) -> None:
        self._leave()
        folder = os.open(f"{self._root}/{dir}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder = self._checked(folder, path)
        self._dir = dir

    def _leave(self) -> None:
        if self._dir is not None:
            os.close(self._folder)
            self._dir = None

    def _checked(self, fd: int, path: str) -> int:
        """What was opened, closed again where a link led out of the root."""
        try:
            _stay_inside(fd, self._root, path)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _read(fd: int, path: str, *, keep: int, settled: bool) -> Content:
    before = os.fstat(fd)
    if not stat.S_ISREG(before.st_mode):
        raise VanishedError("is no regular file any more", path=path)
    if not settled:
        _probe(fd, path)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    data, digest, count = _bytes(fd, before.st_size, keep)
    after = os.fstat(fd)
    if count != before.st_size or _marks(before) != _marks(after):
        raise UnsettledError("changed while it was read", path=path)
    if not settled:
        _probe(fd, path)
    size, mtime, inode = stat_of(after)
    seen = (size, _told_apart(mtime), inode)
    return Content(stat=seen, digest=digest, data=data)


def _bytes(fd: int, size: int, keep: int) -> tuple[bytes | None, str, int]:
    """The bytes where they are to be kept, their digest, and how many there were."""
    if size > keep:
        return None, *_digest(fd, size)
    data = os.read(fd, size + 1)
    while 0 < len(data) < size and (more := os.read(fd, size + 1 - len(data))):
        data += more
    return data, hashlib.sha256(data).hexdigest(), len(data)


def _digest(fd: int, size: int) -> tuple[str, int]:
    digest, count = hashlib.sha256(), 0
    # A fresh MiB costs 50 µs to clear: five times what reading a small file does.
    buffer = memoryview(bytearray(min(PIECE, size + 1)))
    while got := os.readv(fd, [buffer]):
        digest.update(buffer[:got])
        count += got
    return digest.hexdigest(), count


def _probe(fd: int, path: str) -> None:
    """Asks for a read lease: refused while anybody has the file open to write. It is to be given
    back at once, which closing the file does too.

    A writer that comes in between breaks the lease, for which the kernel sends SIGIO and that
    would end the process; SIGURG is ignored by default, and the writer waits microseconds.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # forgotten whenever a lease is given back
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise UnsettledError("open for writing", path=path) from None
        raise LeaselessError(
            "whether it is still being written cannot be told", path=path
        ) from None


def _stay_inside(fd: int, folder: str, path: str) -> None:
    """Refuses what a link, in any part of the path, leads out of the root."""
    real = os.readlink(f"/proc/self/fd/{fd}") + "/"  # noqa: PTH115 - fit to be compared as text
    if real.startswith(_real(folder)):
        return
    _real.cache_clear()
    if not real.startswith(_real(folder)):
        raise UnreadableError("leads out of the folder: links are followed only inside", path=path)


@lru_cache(maxsize=64)
def _real(folder: str) -> str:
    return os.path.realpath(folder).rstrip("/") + "/"


def _marks(found: os.stat_result) -> tuple[int, int, int]:
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=1)
def _clock_is_coarse() -> bool:
    """Before Linux 6.13 a file's times come from the timer tick, so two writes may share one."""
    parts = os.uname().release.split(".")
    try:
        return (int(parts[0]), int(parts[1].partition("-")[0])) < _MULTIGRAIN
    except (IndexError, ValueError):
        return True


def _told_apart(mtime_ns: int) -> int:
    """The time, or 0 where a write after this one could still get the same: look again then."""
    if _clock_is_coarse() and abs(time.time_ns() - mtime_ns) < _COARSE_NS:
        return 0
    return mtime_ns


def _explained(error: OSError, path: str) -> LocalError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
        return VanishedError("is gone", path=path)
    if error.errno == errno.EAGAIN:  # a lease of another program, as Samba's: it is asked to end
        return UnsettledError("held by another program", path=path)
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableError("no right to read it", path=path, hint="give syncd's user access")
    if error.errno == errno.ELOOP:
        return UnreadableError("links that lead round in a circle", path=path)
    if error.errno in (errno.ENXIO, errno.ENODEV, errno.EISDIR):
        return VanishedError("is no regular file any more", path=path)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return UnreadableError("too many files are open", path=path, hint="raise `ulimit -n`")
    return UnreadableError(f"cannot be read: {error.strerror}", path=path)
