"""Knows the watched folder again: an unmounted disk must never read as "all was deleted".

The engine identifies the root when a mirror is made, and asks for `trouble` before it believes
anything a scan says. Where a marker could be written the marker decides, because device and
file-system numbers may change with a reboot, and a folder made anew may get the old inode.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from uuid import uuid4

from syncd.disk import sync
from syncd.errors import UnreadableError
from syncd.value import value

MARKER = ".syncd-root"

_EXPLAINED = (
    "syncd knows this folder by this file. Leave it here: without it syncd stops, because the "
    "folder could be an empty place where a disk was mounted.\n"
)
_WORD = re.compile(r"[0-9A-Za-z-]{8,64}")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


@value
class RootIdentity:
    """What tells one folder from another; `marker` is "" where none could be written."""

    fsid: int
    inode: int
    marker: str


def identify(root: Path) -> RootIdentity:
    """The folder's identity now. Raises UnreadableError where there is no folder to be read."""
    try:
        found = (root / ".").stat()
        fsid = os.statvfs(root).f_fsid
        marker = _marker(root)
    except OSError as error:
        raise UnreadableError(_sentence(error), path=str(root)) from error
    return RootIdentity(fsid=fsid, inode=found.st_ino, marker=marker)


def claim(root: Path, marker: str) -> str:
    """Writes the marker file and returns its word, or "" where the folder cannot be written.

    A marker that is there already, whoever made it, is kept and its word returned: several
    mirrors may share a root.
    """
    with contextlib.suppress(OSError):
        if existing := _marker(root):
            return existing
        draft = root / f"{MARKER}.{uuid4().hex}.tmp"
        try:
            _write(draft, f"{marker}\n{_EXPLAINED}")
            _place(draft, root / MARKER)
            # A name is durable once its folder is: a lost marker would read as another disk.
            sync(root)
        finally:
            draft.unlink(missing_ok=True)
        return _marker(root)
    return ""


def trouble(root: Path, known: RootIdentity) -> str | None:
    """None while `root` is the folder it was, else a sentence that says what it is now."""
    try:
        now = identify(root)
    except UnreadableError as error:
        return error.message
    if known.marker:
        if now.marker == known.marker:
            return None
        what = "is another one" if now.marker else "is missing"
        return f"is not the folder it was: another disk or a new folder (marker {MARKER} {what})"
    if (now.fsid, now.inode) != (known.fsid, known.inode):
        return "is not the folder it was: another disk or a new folder"
    return None


def _marker(root: Path) -> str:
    """The marker's word, "" where there is none; raises OSError where that cannot be told."""
    try:
        fd = os.open(f"{root}/{MARKER}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return ""
        raise
    try:
        line = os.read(fd, 200).decode("ascii", "replace").partition("\n")[0]
    finally:
        os.close(fd)
    return line if _WORD.fullmatch(line) else ""


def _write(path: Path, text: str) -> None:
    fd = os.open(path, _NEW_FILE, 0o644)
    try:
        os.write(fd, text.encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def _place(draft: Path, marker: Path) -> None:
    """Puts the whole file in place at once; of two that race, the first one stays."""
    try:
        os.link(draft, marker)
    except FileExistsError:
        if not _marker(marker.parent):  # damaged: no word in it
            draft.replace(marker)
    except OSError:  # a file system without hard links
        draft.replace(marker)


def _sentence(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the folder is missing"
    if isinstance(error, NotADirectoryError):
        return "is not a folder any more"
    return f"cannot be read: {error.strerror}"
