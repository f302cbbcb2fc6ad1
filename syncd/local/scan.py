"""Looks at the disk: one listing per folder, and nothing is opened.

The engine walks a whole tree or a branch and merges the listings with the state file's rows.
What could not be looked at is said to be unknown, never gone. Memory is that of one folder,
time 1.2 times a bare loop of scandir and stat.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import overload

from syncd.annotation.model import SUFFIX
from syncd.errors import ConfigError
from syncd.local.ignore import OWN, Filter, upwards
from syncd.local.listing import WIDEST, Glance, Listing, stat_of
from syncd.model import Stat

NOT_A_FILE = "not a file"
LINK_TO_FOLDER = "link to a folder"
LINK_OUT = "link out of the root"
LINK_DANGLING = "dangling link"

NOT_UTF8 = "the name is not UTF-8: rename it"
_GONE = (FileNotFoundError, NotADirectoryError)
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


Ahead = Callable[[str], Glance | None]
"""What is known of a folder without listing it."""


@overload
def walk(root: Path, filter: Filter, *, below: str = "") -> Iterator[Listing]: ...


@overload
def walk(root: Path, filter: Filter, *, ahead: Ahead) -> Iterator[Listing | Glance]: ...


def walk(
    root: Path, filter: Filter, *, below: str = "", ahead: Ahead = lambda _dir: None
) -> Iterator[Listing | Glance]:
    """Lists `below` and every folder under it, parents first, in order of the path's components.

    Reads each `.syncdignore` on its way. A folder that vanished in mid-walk gives no listing;
    where `below` itself is no folder (any more), one empty listing says so. A `below` that a
    rule leaves out gives none at all. What `ahead` knows of a folder takes the place of listing it.
    """
    top = os.fspath(root)
    try:
        if not _admitted(top, filter, below):
            return
    except ConfigError as error:
        yield Listing(dir=below, complete=False, error=str(error))
        return
    if through_link(top, below):
        yield Listing(dir=below)
        return
    pending = [below]
    while pending:
        dir = pending.pop()
        listing = _known(top, dir, filter, ahead) or list_folder(top, dir, filter)
        if listing is None and dir == below != "" and Path(root).is_dir():
            listing = Listing(dir=dir)
        if listing is None:
            continue
        yield listing
        prefix = f"{dir}/" if dir else ""
        pending.extend([prefix + name for name in reversed(listing.subdirs)])


def carried(name: str) -> bool:
    """Whether a name is text: bytes that are not UTF-8 cannot be stored or sent."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: str) -> str:
    """A path for people: bytes that are not UTF-8 become `\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def through_link(top: str, dir: str) -> bool:
    """Whether a folder below the root is, or lies below, a symbolic link."""
    try:
        return any(
            part and stat.S_ISLNK(os.lstat(f"{top}/{part}").st_mode) for part in upwards(dir)
        )
    except OSError:
        return False


def _admitted(top: str, filter: Filter, below: str) -> bool:
    """Reads the `.syncdignore` files above `below`; False where a rule leaves it out."""
    down = [*upwards(below)][::-1]
    for parent, child in pairwise(down):
        filter.enter(top, parent)
        if filter.dir_rule(child) is not None:
            return False
    return True


def _known(top: str, dir: str, filter: Filter, ahead: Ahead) -> Glance | None:
    """What is known already; the folder's own patterns are read all the same, for those below."""
    glance = ahead(dir)
    try:
        if glance:
            filter.enter(top, dir)
    except ConfigError:
        return None
    return glance


def list_folder(top: str, dir: str, filter: Filter) -> Listing | None:
    """One folder; None where it is gone and nothing can be said about the root."""
    listing = Listing(dir=dir)
    try:
        filter.enter(top, dir)
        fd = os.open(f"{top}/{dir}" if dir else f"{top}/.", _OPEN_DIR)
    except ConfigError as error:
        listing.complete, listing.error = False, str(error)
        return listing
    except OSError as error:
        if dir and isinstance(error, _GONE):
            return None
        listing.complete, listing.error = False, _reason(error)
        return listing
    rest = _Rest(listing, top, filter)
    try:
        _fill(rest, fd, filter)
    except OSError as error:
        rest.failed("", error)
    finally:
        os.close(fd)
    rest.close()
    return listing


def _fill(rest: _Rest, fd: int, filter: Filter) -> None:
    """The hot loop: candidates are taken here, all else by `rest`."""
    dir, files, rule = rest.listing.dir, rest.listing.files, filter.rule
    plain = filter.plain
    with os.scandir(fd) as entries:
        for entry in entries:
            name = entry.name
            if not entry.is_file(follow_symlinks=False):
                rest.add(entry)
            elif not (name[name.rfind(".") :] in plain and name[0] not in ".~#") and (
                left_out := rule(dir, name)
            ):
                rest.leave(entry, left_out)
            elif not name.isascii() and not carried(name):
                rest.refuse(name)
            else:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError as error:
                    rest.failed(name, error)
                    continue
                inode, mtime = found.st_ino, found.st_mtime_ns
                # A call takes as long as all the rest.
                small = inode <= WIDEST and -WIDEST <= mtime <= WIDEST
                files[name] = (found.st_size, mtime, inode) if small else stat_of(found)


class _Rest:
    """Everything in a folder that is not a plain candidate."""

    def __init__(self, listing: Listing, top: str, filter: Filter) -> None:
        self.listing = listing
        self._top = top
        self._filter = filter
        self._ignored: Counter[str] = Counter()
        self._refused: list[tuple[str, str]] = []
        self._subdirs: list[str] = []

    def add(self, entry: os.DirEntry[str]) -> None:
        try:
            if entry.is_dir(follow_symlinks=False):
                self._folder(entry.name)
            elif (rule := self._filter.rule(self.listing.dir, entry.name)) is not None:
                self.leave(entry, rule)
            elif entry.is_symlink():
                self._link(entry)
            else:
                self.count(NOT_A_FILE)
        except OSError as error:
            self.failed(entry.name, error)

    def leave(self, entry: os.DirEntry[str], rule: str) -> None:
        """Not taken; but what may be a sidecar is looked at before it is counted."""
        name = entry.name
        if not name.endswith(SUFFIX) or not self._filter.sidecar(self.listing.dir, name):
            self.count(rule)
            return
        try:
            found = self._seen(entry)
        except OSError as error:
            self.failed(name, error)
            return
        if isinstance(found, str) or not carried(name):
            self.count(rule)
        else:
            self.listing.sidecars[name] = found

    def count(self, rule: str) -> None:
        if rule != OWN:
            self._ignored[rule] += 1

    def refuse(self, name: str) -> None:
        self._refused.append((shown(self._path(name)), NOT_UTF8))

    def failed(self, name: str, error: OSError) -> None:
        """A name that vanished is no matter; anything else leaves the folder in doubt."""
        if isinstance(error, _GONE) and name:
            return
        self.listing.complete = False
        self.listing.error = f"{name}: {_reason(error)}" if name else _reason(error)

    def close(self) -> None:
        self.listing.subdirs = tuple(sorted(self._subdirs))
        self.listing.refused = tuple(self._refused)
        self.listing.ignored = self._ignored

    def _folder(self, name: str) -> None:
        rule = self._filter.dir_rule(self._path(name))
        if rule is not None:
            self.count(rule)
        elif not carried(name):
            self.refuse(name)
        else:
            self._subdirs.append(name)

    def _link(self, entry: os.DirEntry[str]) -> None:
        found = follow(self._top, f"{self._top}/{self._path(entry.name)}")
        if isinstance(found, str):
            self.count(found)
        elif not carried(entry.name):
            self.refuse(entry.name)
        else:
            self.listing.files[entry.name] = found

    def _seen(self, entry: os.DirEntry[str]) -> Stat | str:
        if entry.is_symlink():
            return follow(self._top, f"{self._top}/{self._path(entry.name)}")
        if not entry.is_file():
            return NOT_A_FILE
        found = entry.stat()
        return stat_of(found)

    def _path(self, name: str) -> str:
        return f"{self.listing.dir}/{name}" if self.listing.dir else name


def follow(top: str, link: str) -> Stat | str:
    """What a symbolic link stands for: its target's stat, or the rule that leaves it out."""
    try:
        target = os.path.realpath(link, strict=True)
        found = Path(target).stat()
    except OSError:
        return LINK_DANGLING
    if not target.startswith(os.path.realpath(top).rstrip("/") + "/"):
        return LINK_OUT
    if stat.S_ISDIR(found.st_mode):
        return LINK_TO_FOLDER
    if not stat.S_ISREG(found.st_mode):
        return NOT_A_FILE
    return stat_of(found)


def _reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no right to read it: give syncd's user read access"
    if isinstance(error, _GONE):
        return "the folder is missing"
    return f"cannot be read: {error.strerror or error}"
