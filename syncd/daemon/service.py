"""The daemon: every mirror of one call in one process, started, told to stop, drained.

Called by `syncd watch`, in the main thread. The first signal lets what is under way end, a second
one ends the process on the spot: the state file bears it.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

from syncd.client import Client, checked_name
from syncd.daemon.sayings import Sayings
from syncd.daemon.watching import Watching
from syncd.engine.errand import distinct, refuse_nesting
from syncd.engine.mirror import Mirror
from syncd.engine.opening import Target, root_of
from syncd.engine.options import Options
from syncd.errors import SyncdError, UsageError
from syncd.model import OnConflict

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""A signal that another thread was given wakes nobody: so often this one looks by itself."""
STOPPING = (signal.SIGINT, signal.SIGTERM)


class Service:
    """Watches folders until a signal comes."""

    def __init__(
        self, client: Client, folders: Sequence[Path], to: str | None, options: Options
    ) -> None:
        self._client = client
        self._say: Callable[[str], None] = lambda text: None
        self._linked = False
        # A SimpleQueue may be filled by a signal handler; an Event or a lock may not.
        self._news: queue.SimpleQueue[Watching | None] = queue.SimpleQueue()
        self._signals = 0
        self._watchings = [
            Watching(
                target, client.remote, client.places.mirrors,
                revive=client.revive, ready=self._ready, ended=self._news.put,
            )
            for target in self._targets(folders, to, options)
        ]  # fmt: skip

    def run(self, say: Callable[[str], None]) -> None:
        """Watch until SIGINT or SIGTERM; raises what ended a mirror."""
        self._say = say
        before = {number: signal.signal(number, self._told) for number in STOPPING}
        try:
            for watching in self._watchings:
                watching.start()
            self._wait()
        finally:
            for watching in self._watchings:
                watching.stop()
            for watching in self._watchings:
                watching.join()
            for number, handler in before.items():
                signal.signal(number, handler)
        errors = [watching.error for watching in self._watchings if watching.error]
        if errors:
            raise errors[0]
        say("stopped: all that was reported stored is stored")

    def _wait(self) -> None:
        """Until a signal comes or the last mirror has ended."""
        running = len(self._watchings)
        while running:
            try:
                ended = self._news.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if ended is None:
                return
            running -= 1
            if running:
                log.error("mirror ended root=%s reason=%s", ended.target.root, ended.error)

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)
        self._news.put(None)

    def _targets(self, folders: Sequence[Path], to: str | None, options: Options) -> list[Target]:
        roots = list(dict.fromkeys(root_of(folder) for folder in folders))
        refuse_nesting(roots, roots)
        names = {root: _dataset(root, to) for root in roots}
        several = Counter(names.values())
        sources = distinct(roots)
        return [
            Target(
                root=root, remote=self._client.name, dataset=name,
                options=_beside(options, sources[root]) if several[name] > 1 else options,
            )
            for root, name in names.items()
        ]  # fmt: skip

    def _ready(self, mirror: Mirror) -> Sayings:
        mirror.state.meta.put(remote=self._client.name)
        subject, name = mirror.subject, mirror.dataset.info.name
        self._say(f"drop files into {subject.root}: they appear in the dataset {name!r}")
        if not self._linked:
            self._linked = True
            with suppress(SyncdError):
                self._say(
                    f"see them at {self._client.remote.link()}#{urlencode({'dataset': name})}"
                )
                self._say("(good for one browser, for 60 s; `syncd open` prints another)")
        return Sayings(self._say, mirror)


def _dataset(root: Path, to: str | None) -> str:
    if to is not None:
        return checked_name(to)
    if not root.name:
        raise UsageError("this folder has no name: say --to DATASET", path=str(root))
    return checked_name(root.name)


def _beside(options: Options, source: str) -> Options:
    return replace(options, on_conflict=OnConflict.SUFFIX, source=options.source or source)
