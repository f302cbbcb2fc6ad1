"""How mirrors are, what they know of one file and what they did, from outside their daemon."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from syncd.config.load import load
from syncd.config.places import places
from syncd.daemon.remote import address
from syncd.errors import NotFoundError
from syncd.local.ignore import Filter
from syncd.local.listing import stat_of
from syncd.local.look import why_not
from syncd.model import Stat
from syncd.state.history import Deed
from syncd.state.report import (
    DAMAGED,
    FileStatus,
    MirrorStatus,
    deeds_of,
    examined,
    file_status,
    mirrors,
    root_of,
)


def of_folder(folder: Path, remote: str | None = None) -> list[MirrorStatus]:
    """How the mirrors of one folder are. Raises NotFoundError where it is not mirrored itself."""
    real = folder.resolve()
    found = [mirror for mirror in every_mirror(remote) if Path(mirror.root) == real]
    if not found:
        raise NotFoundError("is no mirrored folder", path=str(folder), hint="see syncd status")
    return found


def is_folder(path: Path) -> bool:
    """Whether a path is one, or is mirrored as one: that of a disk that is not there is missing."""
    real = os.path.realpath(path)
    return any(root_of(folder) == real for folder in mirrors(places().mirrors)) or path.is_dir()


def every_mirror(remote: str | None = None) -> list[MirrorStatus]:
    """How every mirror of this user is, or every one of a remote, by its name or address.

    Raises ConfigError for a name that is no remote's."""
    return of_remote([examined(folder) for folder in mirrors(places().mirrors)], remote)


def of_remote(found: list[MirrorStatus], remote: str | None) -> list[MirrorStatus]:
    """Those of a remote, or all. Raises ConfigError for a name that is no remote's."""
    if remote is None:
        return found
    config = load(places())
    wanted = address(remote, config)
    return [mirror for mirror in found if address(mirror.remote, config, known=True) == wanted]


def one_file(path: Path, remote: str | None = None) -> tuple[MirrorStatus, FileStatus]:
    """What is known of one file, by the mirror that knows it best. Raises NotFoundError."""
    answers = [
        (mirror, found)
        for mirror, relative in owners(path, remote)
        if (found := _now(path, mirror, relative))
    ]
    if not answers:
        hint = "; ".join(["see syncd status", *damaged(every_mirror())])
        raise NotFoundError("no mirror knows this file", path=str(path), hint=hint)
    return max(answers, key=lambda answer: (answer[1].safe, answer[0].pid is not None))


def damaged(found: Iterable[MirrorStatus]) -> list[str]:
    """What is wrong with the state files that cannot be read, and the way back."""
    return [mirror.reason for mirror in found if mirror.state == DAMAGED]


def _now(path: Path, mirror: MirrorStatus, relative: str) -> FileStatus | None:
    """What a mirror knows of a file, held against the file as it is at this moment."""
    known = file_status(mirror.folder, relative)
    try:
        found = path.lstat() if known is None else path.stat()
    except OSError:
        return replace(known, safe=False, reason="gone here") if known and known.safe else known
    if known is None:
        return FileStatus(
            path=relative, safe=False, key=None, digest=None, stored_ns=None,
            reason=_unseen(mirror, relative),
        )  # fmt: skip
    if known.safe and known.stat and not _same(known.stat, found):
        return replace(known, safe=False, reason="changed since it was stored")
    return known


def _unseen(mirror: MirrorStatus, path: str) -> str:
    """Why a mirror has never seen a file that is there."""
    if mirror.chosen is None:  # An older syncd had it last.
        return "not seen so far: new, or left out by a rule"
    extensions, patterns = mirror.chosen
    rules = Filter(extensions=frozenset(extensions), patterns=tuple(patterns))
    rule = why_not(Path(mirror.root), rules, path)
    return f"left out: {rule}" if rule else "not seen so far"


def _same(known: Stat, found: os.stat_result) -> bool:
    size, mtime, inode = known
    # No time was noted where the clock was too coarse to tell by: a daemon looks again soon.
    now = stat_of(found)
    return (size, inode) == (now[0], now[2]) and mtime in (0, now[1])


def past(
    every: Sequence[MirrorStatus], path: Path | None, *, since_ns: int, limit: int
) -> list[tuple[MirrorStatus, Deed]]:
    """What was done to a file, below a folder or to everything, the newest first."""
    if path is None:
        chosen = [(mirror, "") for mirror in every if mirror.state != DAMAGED]
    else:
        real = path.resolve()
        chosen = [(mirror, "") for mirror in every if Path(mirror.root) == real]
        chosen += owners(path)
    if not chosen:
        if path is None and damaged(every):
            return []
        if path is None:
            raise NotFoundError("no folder is mirrored yet")
        raise NotFoundError("lies in no mirrored folder", path=str(path), hint="see syncd status")
    found = [
        (mirror, deed)
        for mirror, below in chosen
        for deed in deeds_of(mirror.folder, below, since_ns, limit)
    ]
    return sorted(found, key=lambda pair: -pair[1].at_ns)[:limit]


def owners(path: Path, remote: str | None = None) -> list[tuple[MirrorStatus, str]]:
    """The mirrors whose root a path lies below, and what it is called there."""
    # Only the parents are resolved: the file itself may be a link that is carried as a file.
    full = path.parent.resolve() / path.name
    found = []
    for mirror in every_mirror(remote):
        root = Path(mirror.root)
        if root in full.parents:
            found.append((mirror, full.relative_to(root).as_posix()))
    return found
