"""Read-only answers about mirrors: what `syncd status` shows, whether a daemon runs or not.

Opens the state file for reading beside whoever writes it; never waits for the writer and never
writes.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from syncd.errors import StateError
from syncd.model import Stat
from syncd.state.folder import FILE
from syncd.state.history import DAYS, Deed, deeds
from syncd.state.lock import holder
from syncd.state.names import Names
from syncd.state.pause import lasting
from syncd.state.sidecar_report import sidecar_at, sidecars_told
from syncd.state.store import only_read
from syncd.state.troubles import Trouble, Troubles, split
from syncd.value import value

MOST = 1000
DAMAGED = "damaged"
LOOK_S = 0.5


@value
class Space:
    """What the state of one mirror takes on disk, in bytes, and how much history it keeps."""

    state: int
    journal: int
    lines: int
    days: int

    @property
    def bytes(self) -> int:
        return self.state + self.journal


@value
class MirrorStatus:
    """How one mirror is. `state` is watching, scanning, waiting, resting, paused, held,
    denied, stopped or damaged; of a damaged one nothing else may be known."""

    name: str
    root: str
    dataset: str
    remote: str
    state: str
    reason: str
    plan: str | None
    """What `syncd approve` is asked for, where something waits for a person."""
    synced: int
    pending: int
    renamed: int
    troubles: tuple[Trouble, ...]
    refused: tuple[tuple[str, str], ...]
    ignored: Mapping[str, int]
    last_sweep: int | None
    pid: int | None
    folder: Path
    space: Space
    chosen: Sequence[Sequence[str]] | None = None
    """The extensions that it takes, and the patterns that it leaves out."""


@value
class FileStatus:
    """Whether one file is safe at the remote, by which digest, since when, or why not."""

    path: str
    safe: bool
    key: str | None
    digest: str | None
    stored_ns: int | None
    reason: str
    stat: Stat | None = None
    """As the file was when this was so; whoever asks compares with what it is now."""


def mirrors(folder: Path) -> list[Path]:
    """The state folders of all mirrors of this user."""
    return sorted(path.parent for path in folder.glob(f"*/{FILE}") if _begun(path.parent))


def root_of(folder: Path) -> str:
    """The root of the mirror in a state folder, empty where that cannot be told."""
    return str(_legible(folder).get("root_path", ""))


def _begun(folder: Path) -> bool:
    """Not so where a run was killed before the file had its tables."""
    try:
        with _reading(folder) as sql:
            return bool(sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone())
    except StateError:
        return True


def examined(folder: Path) -> MirrorStatus:
    """As `status`; of a damaged file that is the state, and its reason says the way back."""
    try:
        return status(folder)
    except StateError as error:
        return _damaged(folder, str(error))


def _damaged(folder: Path, reason: str) -> MirrorStatus:
    meta = _legible(folder)
    return MirrorStatus(
        name=str(meta.get("name", folder.name)),
        root=str(meta.get("root_path", "")),
        dataset=str(meta.get("dataset_name", "")),
        remote=str(meta.get("remote", "")),
        state=DAMAGED, reason=reason, plan=None, synced=0, pending=0, renamed=0, troubles=(),
        refused=(), ignored={}, last_sweep=None, pid=holder(folder), folder=folder,
        space=Space(
            state=_size(folder / FILE), journal=_size(folder / f"{FILE}-wal"), lines=0, days=DAYS
        ),
    )  # fmt: skip


def status(folder: Path) -> MirrorStatus:
    """How the mirror in a state folder is. Raises StateError where its file is damaged."""
    pid = holder(folder)
    with _reading(folder) as sql:
        meta = _meta(sql)
        state, reason, plan = _condition(meta, pid)
        if pid is None and _lacks_folder(meta):
            reason = f"{reason}; the folder is not there"
        count = sql.execute(
            "SELECT count(*) FROM files WHERE item_id IS NOT NULL AND gone IS NULL"
            " AND digest IS stored_digest AND due IS NULL"
        ).fetchone()[0]
        beside = sidecars_told(sql, able=meta.get("annotates") is not False)
        return MirrorStatus(
            name=str(meta.get("name", folder.name)),
            root=str(meta.get("root_path", "")),
            dataset=str(meta.get("dataset_name", "")),
            remote=str(meta.get("remote", "")),
            state=state,
            reason=reason,
            plan=plan,
            synced=count,
            pending=sql.execute(
                "SELECT count(*) FROM files WHERE due IS NOT NULL AND (dir, name) NOT IN"
                " (SELECT dir, name FROM troubles)"
            ).fetchone()[0],
            renamed=Names(sql).renamed(),
            troubles=(*Troubles(sql).all(), *beside.troubles)[:MOST],
            refused=tuple((path, why) for path, why in meta.get("refused") or ()),
            ignored=beside.counted(meta.get("ignored") or {}),
            last_sweep=meta.get("last_sweep"),
            pid=pid,
            folder=folder,
            chosen=meta.get("chosen"),
            space=_space(sql, folder, meta),
        )


def _space(sql: sqlite3.Connection, folder: Path, meta: Mapping[str, Any]) -> Space:
    # The ids run without gaps, for only the oldest are ever dropped.
    known = sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'history'").fetchone()
    lines = "SELECT coalesce(max(id) - min(id) + 1, 0) FROM history"
    return Space(
        state=_size(folder / FILE), journal=_size(folder / f"{FILE}-wal"),
        lines=int(sql.execute(lines).fetchone()[0]) if known else 0,
        days=int(meta.get("history_days", DAYS)),
    )  # fmt: skip


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def file_status(folder: Path, path: str) -> FileStatus | None:
    """What the mirror knows of one file; None where it never saw it."""
    if not _is_text(path):
        return FileStatus(
            path=os.fsencode(path).decode(errors="backslashreplace"), safe=False, key=None,
            digest=None, stored_ns=None, reason="refused: the name is not UTF-8: rename it",
        )  # fmt: skip
    with _reading(folder) as sql:
        row = sql.execute(
            "SELECT key, digest, stored_digest, stored_key, stored_ns, gone, due, size, mtime_ns,"
            " inode, EXISTS (SELECT 1 FROM items WHERE id = item_id AND (state <> 'present'"
            " OR digest <> stored_digest)) FROM files WHERE dir = ? AND name = ?",
            split(path),
        ).fetchone()
        if row is None:
            return _beside(sql, path)
        key, digest, stored_digest, stored_key, stored_ns, gone, due, *stat, lost = row
        trouble = next((t for t in Troubles(sql).all() if t.path == path), None)
    safe = stored_digest is not None and digest == stored_digest and not gone and not lost
    return FileStatus(
        path=path, safe=safe and (trouble is None), key=stored_key or key, digest=stored_digest,
        stored_ns=stored_ns, stat=(stat[0], stat[1], stat[2]),
        reason="changed or gone at the remote" if lost and not trouble else
        _why(trouble, safe=safe, gone=gone, due=due, stored=stored_digest),
    )  # fmt: skip


def deeds_of(folder: Path, below: str, since_ns: int, limit: int) -> list[Deed]:
    """The latest deeds of a mirror, the newest first; none where an older syncd had it last."""
    if not _is_text(below):
        return []
    with _reading(folder) as sql:
        known = sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'history'").fetchone()
        return list(deeds(sql, below, since_ns, limit)) if known else []


def _beside(sql: sqlite3.Connection, path: str) -> FileStatus | None:
    """As `file_status`, of a sidecar: it is safe where the annotations it says are set."""
    row = sidecar_at(sql, path)
    if row is None or row.kind == "other":
        return None
    safe = row.digest is not None and row.applied == row.digest and not row.gone
    waits = "gone here" if row.gone else "waits for its picture to be stored"
    return FileStatus(
        path=path, safe=safe, key=None, digest=None, stored_ns=None, stat=row.stat,
        reason="annotations set" if safe else row.reason or waits,
    )  # fmt: skip


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _why(
    trouble: Trouble | None, *, safe: bool, gone: int | None, due: int | None, stored: str | None
) -> str:
    if trouble:
        return f"{trouble.kind}: {trouble.reason}"
    if safe:
        return "stored"
    if gone:
        return "gone here"
    if stored:
        return "changed since it was stored: waits to be sent"
    return "waits to be sent" if due is not None else "not sent"


def _lacks_folder(meta: Mapping[str, Any]) -> bool:
    """Whether the root is missing and the condition does not tell it, as that of a closed gate."""
    root, gate = str(meta.get("root_path", "")), meta.get("gate") or {}
    return root != "" and gate.get("kind") != "root" and not _may_be_there(root)


def _may_be_there(root: str) -> bool:
    """Whether a folder is there, or that cannot be told: a network disk may never answer."""
    missing = threading.Event()

    def look() -> None:
        with suppress(OSError):
            if not Path(root).is_dir():
                missing.set()

    looking = threading.Thread(target=look, name="syncd-root-look", daemon=True)
    looking.start()
    looking.join(LOOK_S)
    return not missing.is_set()


def _condition(meta: Mapping[str, Any], pid: int | None) -> tuple[str, str, str | None]:
    gate, held, away = meta.get("gate"), meta.get("held"), meta.get("away")
    denied, coverage = meta.get("denied"), meta.get("coverage")
    if gate:
        return "paused", gate["reason"], gate["plan"] if gate.get("ask", True) else None
    if denied:
        return "denied", str(denied), None
    if paused := lasting(meta.get("paused"), time.time_ns()):
        return "paused", paused, None
    if pid is not None and meta.get("resting"):
        return "resting", str(meta["resting"]), None
    if away:
        return "waiting", away["reason"], None
    if held:
        return "held", f"{held['reason']}; nothing is removed before syncd approve", held["plan"]
    if pid is None:
        return "stopped", "no daemon watches this folder", None
    if coverage:
        return "scanning", str(coverage), None
    return "watching", "", None


def _meta(sql: sqlite3.Connection) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in sql.execute("SELECT * FROM meta")}


def _legible(folder: Path) -> Mapping[str, Any]:
    """What a state file says about its mirror, nothing where it is damaged."""
    with suppress(StateError, ValueError), _reading(folder) as sql:
        return _meta(sql)
    return {}


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    file = folder / FILE
    try:
        with closing(sqlite3.connect(only_read(file), uri=True, timeout=5)) as sql:
            yield sql
    except sqlite3.Error as error:
        raise StateError(
            f"the state file cannot be read: {error}", path=str(file), hint=_way_out(error)
        ) from error


def _way_out(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return "somebody is at it: ask again"
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE")):
        return "its disk may be full: make room, and it is as it was"
    return (
        "mend its rights; or delete it: the next run compares everything by digest and"
        " sends nothing twice"
    )
