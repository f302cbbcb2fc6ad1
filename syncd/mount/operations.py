"""The kernel's questions, answered: the only module that knows fusepy.

`Session` is fusepy's class with the ways that are taken most made short. What is not defined here
(flush, ioctl, release, access, xattrs unless wanted) libfuse answers with ENOSYS, once: the kernel
asks no more. `open` answers that as well, so a file that is in the page cache is read without us.
Whatever goes wrong in here is an errno and a line in the log, never a look of emptiness.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import fuse

from syncd.errors import DeniedError, SyncdError
from syncd.model import Item
from syncd.mount.names import OLD, Rank
from syncd.mount.rows import Row, Seen
from syncd.mount.tree import Tree
from syncd.value import value

log = logging.getLogger(__name__)

XATTRS = ("user.syncd.id", "user.syncd.sha256")
_AWAY = f"/{OLD}/"


class Reads(Protocol):
    """Where bytes come from."""

    def read(self, item: Item, offset: int, size: int) -> bytes:
        """Bytes of exactly this item in exactly this version; raises RemoteError."""
        ...


@value
class Look:
    """Who owns what is shown, and with what rights."""

    uid: int
    gid: int
    file_mode: int = 0o444
    folder_mode: int = 0o755


@value
class Branch:
    """A tree and the bytes of its files."""

    tree: Tree
    reads: Reads
    files: int = 0
    bytes: int = 0


class Operations:
    """Everything the kernel can ask of the branches below one mount point."""

    use_ns = True
    init = destroy = object()  # asked for by name; `Session` answers

    def __init__(self, look: Look, *, xattrs: bool = False) -> None:
        self.look = look
        self._modes = look.file_mode | stat.S_IFREG, look.folder_mode | stat.S_IFDIR
        self.alone: Branch | None = None
        """The branch that is the root itself; else `branches` are folders below it."""
        self.branches: dict[str, Branch] = {}
        self.slots: dict[int, Branch] = {}
        self.pending: dict[str, Callable[[], None]] = {}
        """Changes of our own that wait for the kernel to ask, by the path that goes or comes."""
        self.own: set[int] = set()
        """The threads that may change something through the mount: a `Teller` for each branch."""
        self.reading: dict[int, tuple[int, float]] = {}
        self.seen: Callable[[str], None] = lambda path: None
        """Told of each path that was listed, or read to its end."""
        self.started = threading.Event()
        self._began_ns = time.time_ns()
        if xattrs:
            self.getxattr, self.listxattr = self._getxattr, self._listxattr

    def add(self, name: str, branch: Branch) -> None:
        """Show a branch: as the root itself where the name is empty."""
        self.slots[branch.tree.slot >> 40] = branch
        if name:
            self.branches[name] = branch
        else:
            self.alone = branch

    # --- reading --------------------------------------------------------------------------------

    def attributes(self, path: str) -> tuple[int, int, int, int]:
        """Inode number, mode, size and time in ns of what is at a path; raises OSError."""
        if path.startswith(_AWAY):
            branch, row = self._away(path)
            return self._shown(branch, Seen(row.ino, row.rank, row.size, row.mtime_ns))
        if (path == "/" and self.alone is None) or path == _AWAY[:-1]:
            number = 1 if path == "/" else 2 << 60
            return number, self.look.folder_mode | stat.S_IFDIR, 0, self._began_ns
        branch, inner = self._branch(path)
        return self._shown(branch, branch.tree.look(inner))

    def names(self, path: str) -> list[tuple[str, int, int]]:
        """Name, inode number and mode of all that a folder shows."""
        if path == _AWAY[:-1]:
            return []
        if path == "/" and self.alone is None:
            mode = self.look.folder_mode | stat.S_IFDIR
            return [(name, one.tree.slot | 1, mode) for name, one in sorted(self.branches.items())]
        branch, inner = self._branch(path)
        slot, kinds = branch.tree.slot, self._modes
        found = branch.tree.listing(inner)
        self.seen(path)
        return [(name, slot | seen.ino, kinds[seen.rank == 0]) for name, seen in found.items()]

    def content(self, path: str, offset: int, size: int) -> bytes:
        """Bytes of the file at a path: exactly as many as there are, or an error."""
        if path.startswith(_AWAY):
            branch, row = self._away(path)
        else:
            branch, inner = self._branch(path)
            row = branch.tree.file(inner)
        wanted = max(0, min(size, row.size - offset))
        if row.content is not None:
            data = row.content[offset : offset + wanted]
        else:
            data = self._bytes(path, branch, row, offset, wanted) if wanted else b""
        if len(data) != wanted:
            log.error("short read path=%s offset=%d wanted=%d got=%d", path, offset, wanted,
                      len(data))  # fmt: skip
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if offset + wanted == row.size:
            self.seen(path)
        return data

    def _bytes(self, path: str, branch: Branch, row: Row, offset: int, size: int) -> bytes:
        token = threading.get_ident()
        self.reading[token] = (branch.tree.slot | row.ino, time.monotonic())
        try:
            return branch.reads.read(branch.tree.item(row), offset, size)
        except OSError as error:
            if error.errno is None:
                raise
            # Trouble with the cache's files: its number would say something else of this one.
            log.error("cache not read path=%s reason=%s", path, error)
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
        finally:
            del self.reading[token]

    def lasting(self, number: int) -> float:
        """For how many seconds a read of this inode has been waiting for its bytes; 0: none is."""
        begun = [at for ino, at in list(self.reading.values()) if ino == number]
        return time.monotonic() - min(begun) if begun else 0.0

    def totals(self) -> tuple[int, int]:
        """Files and bytes, as the remote counted them when the mount began."""
        shown = list(self.slots.values())
        return sum(one.files for one in shown), sum(one.bytes for one in shown)

    def _getxattr(self, path: str, name: str) -> bytes:
        value = self._facts(path).get(name)
        if value is None:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return value

    def _listxattr(self, path: str) -> list[str]:
        return list(self._facts(path))

    def _facts(self, path: str) -> Mapping[str, bytes]:
        if path.startswith(_AWAY) or (path == "/" and self.alone is None):
            return {}
        branch, inner = self._branch(path)
        if not inner or branch.tree.look(inner).rank in (Rank.FOLDER, Rank.SIDECAR):
            return {}
        item = branch.tree.item(branch.tree.file(inner))
        values = (item.id, item.digest)
        return {name: value.encode() for name, value in zip(XATTRS, values, strict=True) if value}

    def _branch(self, path: str) -> tuple[Branch, str]:
        if self.alone is not None:
            return self.alone, path[1:]
        name, _, inner = path[1:].partition("/")
        branch = self.branches.get(name)
        if branch is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return branch, inner

    def _away(self, path: str) -> tuple[Branch, Row]:
        """The branch and the row of a file that went while somebody may hold it."""
        try:
            number = int(path[len(_AWAY) :].partition(".")[0])
            branch = self.slots[number >> 40]
            row = branch.tree.row(number & (1 << 40) - 1)
        except (ValueError, KeyError, OSError):
            row = None
        if row is None or row.rank == Rank.FOLDER or path in self.pending:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return branch, row

    def _shown(self, branch: Branch, seen: Seen) -> tuple[int, int, int, int]:
        mode = self._modes[seen.rank == 0]
        return branch.tree.slot | seen.ino, mode, seen.size, seen.mtime_ns

    # --- changing: ours alone -------------------------------------------------------------------

    def turn(self, path: str) -> None:
        """Carry out what waits for this path, where one of our own threads asks for it."""
        if fuse.fuse_get_context()[2] not in self.own:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        change = self.pending.pop(path, None)
        if change is not None:
            change()

    def refuse(self, *_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    getattr = read = readdir = open = statfs = rename = rmdir = utimens = refuse
    mknod = mkdir = unlink = symlink = link = chmod = chown = truncate = write = create = refuse
    setxattr = removexattr = refuse

    def __call__(self, name: str, *arguments: Any) -> Any:
        return getattr(self, name)(*arguments)


class Session(fuse.FUSE):  # type: ignore[misc]
    """A mount: returns from its making when it was unmounted."""

    operations: Operations

    # fusepy calls these with C values; each returns 0, a length, or raises OSError.

    def init(self, conn: object) -> None:
        self.operations.started.set()

    def destroy(self, data: object) -> None:
        """Nothing is ours to end here."""

    def getattr(self, path: bytes, buf: Any) -> None:
        self._fill(path, buf.contents)

    def fgetattr(self, path: bytes, buf: Any, fip: object) -> None:
        self._fill(path, buf.contents)

    def _fill(self, path: bytes, to: Any) -> None:
        ino, mode, size, ns = self.operations.attributes(path_of(path))
        look = self.operations.look
        ctypes.memset(ctypes.addressof(to), 0, ctypes.sizeof(to))
        to.st_ino, to.st_mode, to.st_size = ino, mode, size
        to.st_nlink, to.st_uid, to.st_gid = 1, look.uid, look.gid
        to.st_blksize, to.st_blocks = 4096, (size + 511) >> 9
        seconds, rest = divmod(ns, 1_000_000_000)
        for times in (to.st_mtimespec, to.st_atimespec, to.st_ctimespec):
            times.tv_sec, times.tv_nsec = seconds, rest

    def read(self, path: bytes, buf: Any, size: int, offset: int, fip: object) -> int:
        name = path_of(path)
        data = self.operations.content(name, offset, size)
        ctypes.memmove(buf, data, len(data))
        return len(data)

    def readdir(self, path: bytes, buf: Any, fill: Any, offset: int, fip: object) -> None:
        entry = fuse.c_stat()
        fill(buf, b".", None, 0)
        fill(buf, b"..", None, 0)
        place = ctypes.pointer(entry)
        last = 0
        for name, ino, mode in self.operations.names(path_of(path)):
            entry.st_ino = ino
            if mode != last:
                entry.st_mode = last = mode
            if fill(buf, name.encode(), place, 0):
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    def open(self, path: bytes, fip: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def statfs(self, path: bytes, buf: Any) -> None:
        files, size = self.operations.totals()
        to = buf.contents
        to.f_bsize = to.f_frsize = 4096
        to.f_blocks, to.f_files, to.f_namemax = (size + 4095) >> 12, files, 255

    def rename(self, old: bytes, new: bytes) -> None:
        self.operations.turn(path_of(new))

    def rmdir(self, path: bytes) -> None:
        self.operations.turn(path_of(path))

    def utimens(self, path: bytes, times: object) -> None:
        self.operations.turn("")

    def _refuse(self, *_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    mknod = mkdir = unlink = symlink = link = chmod = chown = truncate = ftruncate = _refuse
    write = create = setxattr = removexattr = _refuse

    @staticmethod
    def _wrapper(ask: Callable[..., int | None], *arguments: Any) -> int:
        try:
            return ask(*arguments) or 0
        except OSError as error:
            if error.errno:
                return -error.errno
            log.exception("unexpected fault asked=%s", ask.__name__)
        except SyncdError as error:
            log.warning("not answered asked=%s path=%r reason=%s", ask.__name__, arguments[:1],
                        error)  # fmt: skip
            return -_errno(error)
        except BaseException:
            log.exception("unexpected fault asked=%s", ask.__name__)
        return -errno.EIO


def path_of(raw: bytes) -> str:
    """A path as the kernel says it; all that is shown is UTF-8, so nothing else is there."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None


def _errno(error: SyncdError) -> int:
    if isinstance(error, DeniedError):
        return errno.EACCES
    return errno.ETIMEDOUT if isinstance(error.__cause__, TimeoutError) else errno.EIO
