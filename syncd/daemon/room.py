"""What grows, and how it is kept small: history, state file, logs, finished pieces of work.

`tidy` runs in the control thread every ten minutes while nothing else is to do; `room` tells what
each thing takes and what it may take at most.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from syncd.config.load import load
from syncd.config.places import Places
from syncd.engine.mirror import Mirror
from syncd.errors import StateError

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
    state.meta.put(history_days=history_days)
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


def around(where: Places) -> list[Room]:
    """What lies beside the mirrors' own state."""
    logs = [where.state / "hub.log", where.state / "fault.log"]
    found = [Room(what=log_file.name, bytes=_size(log_file), limit="8 MiB") for log_file in logs]
    days = load(where).hub.retention_days
    kept = 30 if days is None else days
    if where.hub_data.exists():
        found += [
            Room(what="hub uploads", bytes=_tree(where.hub_data / "uploads"), limit="7 days"),
            Room(
                what="hub", bytes=_tree(where.hub_data),
                limit=f"trash and replaced versions are kept {kept} days; syncd trash empty",
            ),
        ]  # fmt: skip
    return found


def _tree(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        total += sum(_size(Path(parent, name)) for name in names)
    return total


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
