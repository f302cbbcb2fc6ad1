"""Looks at the machine and the setup, and says what mends what is wrong."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from syncd.client import Client
from syncd.config.load import load
from syncd.config.places import Places, places
from syncd.errors import SyncdError
from syncd.state.report import mirrors, status

GIB = 1024**3
WATCHES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at; `mend` is a command or a sentence, empty where all is well."""

    check: str
    ok: bool
    detail: str
    mend: str = ""


def findings(remote: str | None = None, token_file: Path | None = None) -> list[Finding]:
    """Everything there is to check; never raises."""
    where = places()

    def _remote(where: Places) -> Finding:
        with Client(remote, token_file=token_file, where=where) as client:
            client.remote.check()
            return Finding(check="remote", ok=True, detail=f"{client.remote.url} answers")

    checks: list[Callable[[Places], Finding]] = [
        _python, _config, _space, _watches, _remote, _states,
    ]  # fmt: skip
    return [_safely(check, where) for check in checks]


def _safely(check: Callable[[Places], Finding], where: Places) -> Finding:
    try:
        return check(where)
    except SyncdError as error:
        name = check.__name__.lstrip("_")
        return Finding(check=name, ok=False, detail=str(error), mend=error.hint or "see the text")


def _python(where: Places) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        check="python", ok=sys.version_info >= (3, 11),
        detail=f"{version}, SQLite {sqlite3.sqlite_version}",
    )  # fmt: skip


def _config(where: Places) -> Finding:
    load(where)
    found = "read" if where.config_file.exists() else "none, the defaults hold"
    return Finding(check="config", ok=True, detail=f"{where.config_file}: {found}")


def _space(where: Places) -> Finding:
    folder = _nearest(where.data)
    free = shutil.disk_usage(folder).free
    return Finding(
        check="space", ok=free > GIB, detail=f"{free / GIB:.1f} GiB free below {folder}",
        mend="" if free > GIB else "free some space, or set XDG_DATA_HOME to a larger disk",
    )  # fmt: skip


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that is there already."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _watches(where: Places) -> Finding:
    file = Path("/proc/sys/fs/inotify/max_user_watches")
    limit = int(file.read_text()) if file.exists() else 0
    ok = limit >= WATCHES
    return Finding(
        check="inotify", ok=ok, detail=f"{limit} folders can be watched",
        mend="" if ok else f"sudo sysctl fs.inotify.max_user_watches={8 * WATCHES}",
    )  # fmt: skip


def _states(where: Places) -> Finding:
    folders = mirrors(where.mirrors)
    for folder in folders:
        status(folder)
    writable = os.access(_nearest(where.state), os.W_OK)
    return Finding(
        check="state", ok=writable, detail=f"{len(folders)} mirrors in {where.mirrors}",
        mend="" if writable else f"make {where.state} writable",
    )  # fmt: skip
