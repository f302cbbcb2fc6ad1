"""Answers about mirrors and orders to them, from outside their daemon."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd.config.load import load
from syncd.config.parts import Config
from syncd.config.places import ambient, places
from syncd.daemon.control import NAME, ask
from syncd.daemon.metrics import Sample, from_fields
from syncd.daemon.remote import address
from syncd.errors import NotFoundError, SyncdError, TransientError
from syncd.local.ignore import Filter
from syncd.local.look import why_not
from syncd.model import Layout, OnConflict, OnDelete, Stat
from syncd.state.history import DAYS, Deed
from syncd.state.lock import holder
from syncd.state.report import (
    DAMAGED,
    FileStatus,
    MirrorStatus,
    deeds_of,
    examined,
    file_status,
    mirrors,
)
from syncd.value import by_name, value

DEFAULTS = {
    "mirror.layout": Layout.FIRST_LEVEL.value,
    "mirror.on_delete": OnDelete.TRASH.value,
    "mirror.on_conflict": OnConflict.KEEP.value,
    "mirror.source": "this machine's name",
    "mirror.extensions": "pictures, videos and scans",
    "mirror.ignore": (),
    "mirror.bandwidth": "unlimited",
    "mirror.active_hours": "always",
    "mirror.history_days": DAYS,
    "metrics.port": "none: `syncd metrics` prints them",
    "metrics.textfile": "none",
    "hub.port": "any that is free, then always that one",
    "hub.min_free": "1 GiB, or 2 % of a small disk",
    "hub.retention_days": 30,
}
"""What holds where the configuration says nothing."""
UNSAID = (None, "", ())
"""What stands for no word at all; 0 and false are words."""


@value
class Reply:
    """What a mirror said to an order, or why it could not be told."""

    root: str
    said: str = ""
    error: SyncdError | None = None


def of_folder(folder: Path, remote: str | None = None) -> list[MirrorStatus]:
    """How the mirrors of one folder are. Raises NotFoundError where it is not mirrored itself."""
    real = folder.resolve()
    found = [mirror for mirror in every_mirror(remote) if Path(mirror.root) == real]
    if not found:
        raise NotFoundError("is no mirrored folder", path=str(folder), hint="see syncd status")
    return found


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
        for mirror, relative in _owners(path, remote)
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
    return (size, inode) == (found.st_size, found.st_ino) and mtime in (0, found.st_mtime_ns)


def tell_all(
    words: Sequence[str], remote: str | None = None, below: Path | None = None
) -> Iterator[Reply]:
    """Have every mirror do something, or that of one folder; one that cannot stops no other."""
    found = every_mirror(remote)
    if not found:
        raise NotFoundError("no folder is mirrored yet")
    if below is not None:
        found = of_folder(below, remote)
    return (_reply(mirror, words) for mirror in found)


def tell_running(words: Sequence[str], remote: str | None = None) -> list[tuple[str, str]]:
    """Have every mirror that a daemon watches do something: its root, and what it said."""
    running = [mirror for mirror in every_mirror(remote) if mirror.pid is not None]
    if not running:
        raise NotFoundError("no daemon runs", hint="syncd watch FOLDER")
    return [(mirror.root, ask(mirror.folder, list(words))) for mirror in running]


def flush_all(remote: str | None, timeout: float) -> list[str]:
    """Have all that waits in running mirrors sent now. Raises TransientError at the deadline."""
    told = tell_running(["flush"], remote)
    deadline = time.monotonic() + timeout
    while left := [root for root, said in tell_running(["left"], remote) if said]:
        if time.monotonic() >= deadline:
            raise TransientError("some files are still on their way", path=left[0])
        time.sleep(0.1)
    return [f"{root}: all that was to be sent is settled" for root, _ in told]


def samples() -> list[Sample]:
    """The numbers of everything that runs now; what does not answer is left out."""
    found: list[Sample] = []
    for folder in _listening():
        with suppress(SyncdError, ValueError, TypeError):
            found += from_fields(json.loads(ask(folder, ["metrics"])))
    return found


def log_levels(level: str | None) -> list[str]:
    """Have all mirrors and mounts that run say, or set, how much they log. Raises UsageError."""
    said = []
    for folder in _listening():
        with suppress(TransientError):
            said.append(ask(folder, ["log-level", *([level] if level else [])]))
    if not said:
        raise NotFoundError("no daemon runs", hint="syncd watch FOLDER")
    return said


def _listening() -> list[Path]:
    """Where something that runs takes orders; what was killed may have left its socket."""
    return [socket.parent for socket in sorted(places().state.glob(f"*/*/{NAME}"))]


def past(
    every: Sequence[MirrorStatus], path: Path | None, *, since_ns: int, limit: int
) -> list[tuple[MirrorStatus, Deed]]:
    """What was done to a file, below a folder or to everything, the newest first."""
    if path is None:
        chosen = [(mirror, "") for mirror in every if mirror.state != DAMAGED]
    else:
        real = path.resolve()
        chosen = [(mirror, "") for mirror in every if Path(mirror.root) == real]
        chosen += _owners(path)
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


def approve(plan: str, remote: str | None = None) -> Reply:
    """Have the mirror that asked about a plan carry it out. Raises NotFoundError where none did.

    The one that says so is asked first; of the others, one that cannot be asked is not it."""
    found = sorted(every_mirror(remote), key=lambda mirror: mirror.plan != plan)
    silent = []
    for mirror in found:
        reply = _reply(mirror, ["approve", plan])
        if reply.error is None:
            return reply
        if mirror.plan == plan:
            raise reply.error
        if not isinstance(reply.error, NotFoundError):
            silent.append(f"{reply.root} could not be asked: {reply.error}")
    if not found:
        raise NotFoundError("no folder is mirrored yet")
    hint = "; ".join(silent) or "see syncd status"
    raise NotFoundError(f"no plan {plan!r} waits for approval", hint=hint)


def tell_owner(path: Path, words: Sequence[str]) -> str:
    """Have the mirror of a file do something about it: the words, then the path."""
    refusal = NotFoundError("no mirror knows this file", path=str(path), hint="see syncd status")
    verb, *rest = words
    for mirror, relative in _owners(path):
        if file_status(mirror.folder, relative):
            try:
                return _tell(mirror.folder, [verb, relative, *rest])
            except NotFoundError as error:
                refusal = error
    raise refusal


def effective(remote: str | None = None, file: Path | None = None) -> dict[str, Any]:
    """The configuration as it holds now, of the file named or this user's own; secrets by
    reference only, and no user or password in an address."""
    where, around = places(), ambient()
    if file is not None:
        where = replace(where, named=file.absolute())
    config = load(where)
    table: dict[str, Any] = {
        "config_file": str(where.config_file),
        "config_file_exists": where.config_file.exists(),
        "state": str(where.state),
        "data": str(where.data),
        "cache": str(where.cache),
        "remote": remote or around.remote or config.remote or "hub",
        "token_from_environment": bool(around.token or around.token_file),
    }
    for name, known in config.remotes.items():
        ca = f" ca {known.ca}" if known.ca else ""
        table[f"remotes.{name}"] = f"{known.url} token {known.token or 'none'}{ca}"
    parts = (("mirror", config.mirror), ("hub", config.hub), ("metrics", config.metrics))
    for part, values in parts:
        for name, said in by_name(values).items():
            table[f"{part}.{name}"] = DEFAULTS[f"{part}.{name}"] if said in (None, ()) else said
    table |= _listed(config)
    return {name: _bare(said) if isinstance(said, str) else said for name, said in table.items()}


def _bare(text: str) -> str:
    """Addresses without the user and the password in them."""
    return re.sub(r"://[^/\s]*@", "://", text)


def _listed(config: Config) -> dict[str, Any]:
    """What each mirror and mount says itself, with the defaults that it takes over."""
    table: dict[str, Any] = {}
    for number, entry in enumerate(config.mirrors, start=1):
        own: dict[str, Any] = {"root": str(entry.root), "dataset": entry.dataset or entry.root.name}
        own |= {"remote": entry.remote, "path": entry.path}
        own |= by_name(entry.choices)
        table |= {
            f"mirror {number}.{name}": said for name, said in own.items() if said not in UNSAID
        }
    for number, mount in enumerate(config.mounts, start=1):
        said: dict[str, Any] = {
            "path": str(mount.path),
            "dataset": mount.dataset or "all",
            "remote": mount.remote,
        }
        said |= dict(mount.options)
        table |= {
            f"mount {number}.{name}": value for name, value in said.items() if value not in UNSAID
        }
    return table


def _reply(mirror: MirrorStatus, words: Sequence[str]) -> Reply:
    root = mirror.root or str(mirror.folder)
    try:
        return Reply(root=root, said=_tell(mirror.folder, words))
    except SyncdError as error:
        return Reply(root=root, error=error)


def _tell(folder: Path, words: Sequence[str]) -> str:
    if holder(folder) is not None:
        return ask(folder, list(words))
    from syncd.daemon.offline import carry_out_offline

    return carry_out_offline(folder, words)


def _owners(path: Path, remote: str | None = None) -> list[tuple[MirrorStatus, str]]:
    # Only the parents are resolved: the file itself may be a link that is carried as a file.
    full = path.parent.resolve() / path.name
    found = []
    for mirror in every_mirror(remote):
        root = Path(mirror.root)
        if root in full.parents:
            found.append((mirror, full.relative_to(root).as_posix()))
    return found
