"""What grows, and how it is kept small: history, tombstones, state file, logs, pieces of work.

`tidy` runs in the control thread every ten minutes while nothing else is to do; `around` tells what
lies beside the mirrors, what it takes and what it may take at most.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from syncd.config.checked import CACHE_SIZE
from syncd.config.load import load
from syncd.config.parts import Config
from syncd.config.places import Places
from syncd.daemon.shorten import LOG_BYTES, LOGS
from syncd.engine.mirror import Mirror
from syncd.errors import StateError
from syncd.hub.limits import RETENTION_DAYS, THUMBNAIL_BYTES, UNUSED_DAYS
from syncd.value import value

log = logging.getLogger(__name__)


@value
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
    while state.overlay.drop():
        state.commit()
    state.commit()
    try:
        if mirror.quiet and state.shrink():
            log.info("shrank the state file root=%s", mirror.subject.root)
    except StateError as error:
        # It needs room for a copy; without it the file stays as large as it was.
        log.warning("state file not shrunk reason=%s", error)


def around(where: Places) -> list[Room]:
    """What lies beside the mirrors' own state."""
    found = [
        Room(what=name, bytes=_size(where.state / name), limit=f"at most {LOG_BYTES >> 20} MiB")
        for name in LOGS
        if (where.state / name).exists()
    ]
    config = load(where)
    days = config.hub.retention_days
    kept = RETENTION_DAYS if days is None else days
    if where.hub_data.exists():
        found += [
            Room(
                what="hub uploads", bytes=_tree(where.hub_data / "uploads"),
                limit=f"unfinished ones go after {UNUSED_DAYS} days",
            ),
            Room(
                what="hub thumbnails", bytes=_tree(where.hub_data / "thumbnails"),
                limit=f"at most {THUMBNAIL_BYTES >> 20} MiB",
            ),
            Room(
                what="hub", bytes=_tree(where.hub_data),
                limit=f"trash and replaced versions are kept {kept} days; syncd trash empty",
            ),
        ]  # fmt: skip
    return found + _of_mounts(where, config)


def _of_mounts(where: Places, config: Config) -> list[Room]:
    """What mounts keep below the cache directory, be they of now or of some time ago."""
    caches = sorted(where.cache.glob("blocks*"))
    sizes = {str(dict(entry.options).get("cache_size", CACHE_SIZE)) for entry in config.mounts}
    most = f"cache_size: {', '.join(sorted(sizes or {CACHE_SIZE}))}"
    found = [Room(what=f"mount {cache.name}", bytes=_tree(cache), limit=most) for cache in caches]
    if (where.cache / "mounts").exists():
        found.append(
            Room(
                what="mount indexes", bytes=_tree(where.cache / "mounts"),
                limit="a few hundred bytes an item of what is mounted",
            )
        )  # fmt: skip
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
