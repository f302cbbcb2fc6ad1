"""What grows, and how it is kept small: history, state file, logs, finished pieces of work.

`tidy` runs in the control thread every ten minutes while nothing else is to do; `room` tells what
each thing takes and what it may take at most.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from syncd.engine.mirror import Mirror
from syncd.errors import StateError
from syncd.state.history import DAYS, MOST
from syncd.state.store import FILE

log = logging.getLogger(__name__)

LOG_BYTES = 8 * 1024 * 1024
KEPT = 0.5
"""The part of a log that stays when it has become too long: its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What one thing takes; `limit` says in words what keeps it from growing."""

    what: str
    bytes: int
    limit: str


def tidy(mirror: Mirror, history_days: int) -> None:
    """Drop what is too old, and give back what the state file does not need."""
    state = mirror.state
    while state.history.drop(mirror.clock.now_ns(), days=history_days):
        state.commit()
    state.commit()
    try:
        if state.shrink():
            log.info("shrank the state file root=%s", mirror.subject.root)
    except StateError as error:
        # It needs room for a copy; without it the file stays as large as it was.
        log.warning("state file not shrunk reason=%s", error)


def shorten(file: Path, most: int = LOG_BYTES) -> None:
    """Keep the end of a log that is longer than it may be; whoever appends to it goes on."""
    try:
        if file.stat().st_size <= most:
            return
        with file.open("r+b") as log_file:
            log_file.seek(-int(most * KEPT), 2)
            end = log_file.read().partition(b"\n")[2]
            log_file.seek(0)
            log_file.truncate()
            log_file.write(end)
    except OSError as error:
        log.warning("log not shortened path=%s reason=%s", file, error.strerror)


def mirror_room(folder: Path) -> list[Room]:
    """What the state folder of a mirror takes."""
    sizes = {name: _size(folder / f"{FILE}{name}") for name in ("", "-wal")}
    return [
        Room(what="state file", bytes=sizes[""], limit="about 600 bytes a file; shrinks when idle"),
        Room(what="its journal", bytes=sizes["-wal"], limit="64 MiB"),
        Room(what="history", bytes=0, limit=f"{DAYS} days, {MOST} lines; in the state file"),
    ]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
