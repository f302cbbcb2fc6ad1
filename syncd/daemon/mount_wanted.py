"""What a mount is to show: what was asked for, where it comes from, and what is there of it.

Read by `daemon/mount` at its start. A remote that is away does not hinder a start whose indexes
are on disk; one that answers is believed.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from syncd.config.places import Places
from syncd.errors import TransientError
from syncd.mount.remembered import remembered
from syncd.mount.sidecars import Mode
from syncd.remotes.base import DatasetInfo, Remote
from syncd.value import value

log = logging.getLogger(__name__)

AWAY_S = 5.0
"""So long a remote may take to answer, where what it showed before can be shown without it."""


class Reached(Protocol):
    """A remote of any kind and what is needed around it; a `Client` is one."""

    @property
    def address(self) -> str:
        """Tells this remote from others, today and after a restart."""
        ...

    @property
    def remote(self) -> Remote: ...

    @property
    def places(self) -> Places: ...

    def revive(self) -> None:
        """Start the remote again where it is gone and ours to start."""
        ...


@value
class Wanted:
    """What to mount, and how."""

    point: Path
    dataset: str | None
    """None: every dataset, a folder each."""
    create: bool = False
    cache: Path
    cache_bytes: int
    staleness_s: float = 60.0
    timeout_s: float = 30.0
    sidecars: Mode = Mode.ANNOTATED
    prefetch: str | None = None
    """A folder to fetch in the background, "/" for all."""
    uid: int
    gid: int
    mode: int = 0o444
    allow_other: bool = False
    xattrs: bool = False


def found(client: Reached, wanted: Wanted) -> tuple[list[DatasetInfo], bool]:
    """The datasets that are wanted, and whether the remote told so: where it is away, they are
    those that were mounted before. Raises what the remote raises where there are none."""
    before = known(client, wanted)
    try:
        if before:
            return _within(AWAY_S, partial(asked, client, wanted)), True
        return asked(client, wanted), True
    except TransientError as error:
        if not before:
            raise
        log.warning("the remote is away, shown is what it showed before reason=%s", error)
        return before, False


def asked(client: Reached, wanted: Wanted) -> list[DatasetInfo]:
    """The datasets that are wanted, as the remote tells them; raises what it raises."""
    if wanted.dataset is None:
        return list(client.remote.datasets())
    return [client.remote.open(wanted.dataset, create=wanted.create).info]


def known(client: Reached, wanted: Wanted) -> list[DatasetInfo]:
    """Those that were mounted before, and can be shown without the remote."""
    before = remembered(wanted.cache / "mounts", client.address, wanted.sidecars)
    return [info for info in before if wanted.dataset in (None, info.name)]


def _within(seconds: float, ask: Callable[[], list[DatasetInfo]]) -> list[DatasetInfo]:
    """The answer to a question; TransientError also where it does not come in time."""
    came: queue.SimpleQueue[list[DatasetInfo] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            came.put(ask())
        except Exception as error:
            came.put(error)

    threading.Thread(target=run, name="syncd-mount-asking", daemon=True).start()
    try:
        answer = came.get(timeout=seconds)
    except queue.Empty:
        raise TransientError(f"it did not answer within {seconds:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
