"""The daemon: every mirror of one call in one process, started, told to stop, drained."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

from syncd.client import Client
from syncd.daemon.watching import Watching
from syncd.engine.errand import distinct
from syncd.engine.mirror import Mirror
from syncd.engine.opening import Target, root_of
from syncd.engine.options import Options
from syncd.engine.report import Tally
from syncd.errors import SyncdError, UsageError
from syncd.model import OnConflict

log = logging.getLogger(__name__)

SAY_S = 1.0


class Service:
    """Watches folders until a signal comes."""

    def __init__(
        self, client: Client, folders: Sequence[Path], to: str | None, options: Options
    ) -> None:
        self._client = client
        self._stop = threading.Event()
        roots = list(dict.fromkeys(root_of(folder) for folder in folders))
        _refuse_nesting(roots)
        sources = distinct(roots)
        self._watchings = [
            Watching(
                self._target(root, to, _beside(options, sources[root]) if to and len(roots) > 1
                             else options),
                client.remote, client.places.mirrors, revive=client.revive, ready=self._ready,
            )
            for root in roots
        ]  # fmt: skip
        self._say: Callable[[str], None] = lambda text: None

    def run(self, say: Callable[[str], None]) -> None:
        """Watch until SIGINT or SIGTERM; raises what ended a mirror."""
        self._say = say
        before = {number: signal.signal(number, self._told) for number in STOPPING}
        try:
            for watching in self._watchings:
                watching.start()
            while not self._stop.wait(1.0):
                if all(watching.join(0) for watching in self._watchings):
                    break
            self._drain()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for watching in self._watchings:
            if watching.error:
                raise watching.error

    def _drain(self) -> None:
        for watching in self._watchings:
            watching.stop()
        for watching in self._watchings:
            watching.join()
        self._say("stopped; nothing that was reported stored is lost")

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _target(self, root: Path, to: str | None, options: Options) -> Target:
        name = to or root.name
        if not name:
            raise UsageError("this folder has no name: say --to DATASET", path=str(root))
        return Target(root=root, remote=self._client.name, dataset=name, options=options)

    def _ready(self, mirror: Mirror) -> None:
        mirror.state.put(remote=self._client.name)
        subject, name = mirror.subject, mirror.dataset.info.name
        self._say(f"drop files into {subject.root}: they appear in the dataset {name!r}")
        with suppress(SyncdError):
            self._say(f"see them at {self._client.remote.link()} (a link for one browser, 60 s;"
                      " `syncd open` prints another)")  # fmt: skip
        mirror.tally.watchers.append(_Sayings(self._say, name))


class _Sayings:
    """A line now and then about what arrives, never one per file."""

    def __init__(self, say: Callable[[str], None], name: str) -> None:
        self._say = say
        self._name = name
        self._next = 0.0
        self._said = 0

    def __call__(self, tally: Tally, path: str) -> None:
        now = time.monotonic()
        if now >= self._next and tally.uploaded > self._said:
            self._next = now + SAY_S
            self._said = tally.uploaded
            self._say(f"{tally.uploaded} stored in {self._name!r}, last {path!r}")


STOPPING = (signal.SIGINT, signal.SIGTERM)


def _beside(options: Options, source: str) -> Options:
    return replace(options, on_conflict=OnConflict.SUFFIX, source=source)


def _refuse_nesting(roots: Sequence[Path]) -> None:
    for root in roots:
        for other in roots:
            if root != other and root in other.parents:
                raise UsageError(
                    f"lies inside {root}, which is watched too: name only one", path=str(other)
                )
