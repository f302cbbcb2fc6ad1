"""Looks at one path that a hint named: the single-file counterpart of `scan.walk`.

Called by the control thread for every path that is due; a few system calls, nothing is opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from syncd.errors import ConfigError
from syncd.local.ignore import Filter, upwards
from syncd.local.listing import stat_of
from syncd.local.scan import NOT_A_FILE, carried, follow, through_link
from syncd.model import Stat
from syncd.value import value


@value
class Look:
    """A path that exists: a folder, a candidate with its stat, what may be a sidecar with its
    stat, or none of these (nothing to do)."""

    folder: bool = False
    stat: Stat | None = None
    sidecar: Stat | None = None


def look(root: Path, chosen: Filter, path: str) -> Look | None:
    """What is at `path` now; None where there is nothing any more, or only through a link.

    Where the disk does not say (no rights, an I/O error) there is nothing to do either: the next
    scan reports it.
    """
    if not carried(path):
        return Look()
    top = os.fspath(root)
    full = f"{top}/{path}"
    try:
        if through_link(top, path.rpartition("/")[0]):
            return None
        found = os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return Look()
    if stat.S_ISDIR(found.st_mode):
        return Look(folder=True)
    left_out = _left_out(top, chosen, path)
    if left_out and not chosen.beside(path):
        return Look()
    seen = _stat(top, full, found)
    return Look(sidecar=seen) if left_out else Look(stat=seen)


def _stat(top: str, full: str, found: os.stat_result) -> Stat | None:
    if stat.S_ISLNK(found.st_mode):
        target = follow(top, full)
        return None if isinstance(target, str) else target
    if not stat.S_ISREG(found.st_mode):
        return None
    return stat_of(found)


def _left_out(top: str, chosen: Filter, path: str) -> bool:
    """Reads what `.syncdignore` files there are above, for no scan may have come by yet."""
    try:
        for dir in [*upwards(path.rpartition("/")[0])][::-1]:
            chosen.enter(top, dir)
    except ConfigError:
        return True  # unknown: the next scan says which file is to be mended
    return chosen.why(path) is not None


def why_not(root: Path, chosen: Filter, path: str) -> str | None:
    """The rule that leaves a path out, by its name in reports; None where it is a candidate."""
    top, found = os.fspath(root), (root / path).lstat()
    if _left_out(top, chosen, path):
        return chosen.why(path) or "a .syncdignore cannot be understood"
    if stat.S_ISLNK(found.st_mode):
        target = follow(top, f"{top}/{path}")
        return target if isinstance(target, str) else None
    return None if stat.S_ISREG(found.st_mode) else NOT_A_FILE


def exists(root: Path, path: str) -> bool:
    """Whether there is a file at this path now, as a scan would see it; where that cannot be
    told, there is."""
    top = os.fspath(root)
    full = f"{top}/{path}"
    try:
        if through_link(top, path.rpartition("/")[0]):
            return False
        found = os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    if stat.S_ISLNK(found.st_mode):
        return not isinstance(follow(top, full), str)
    return stat.S_ISREG(found.st_mode)
