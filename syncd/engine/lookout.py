"""From hints to looks: which path is looked at when, and what is made of what is found there.

Used by the control thread only. A hint says where something may have changed, the disk says what:
a path is looked at when its quiet period is over, and what was not whole then waits for another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from syncd.clock import Clock
from syncd.engine.guard import Guard
from syncd.engine.observer import Observer
from syncd.errors import LocalError
from syncd.local.hint import Hint
from syncd.local.ignore import Filter
from syncd.local.look import look
from syncd.local.settle import Settle
from syncd.model import Stat
from syncd.state.store import State
from syncd.value import value


@value
class Finds:
    """Who hears of what was found."""

    settled: Callable[[str], None]
    """A file that could not be had whole looks the same again after its quiet period."""
    settled_sidecar: Callable[[str], None]
    doubt: Callable[[str], None]
    """Why a folder could not be looked at: only a sweep can tell."""


class Lookout:
    """Keeps the paths that wait for a look of one root, and takes the looks that are due."""

    def __init__(
        self,
        root: Path,
        chosen: Filter,
        state: State,
        clock: Clock,
        *,
        guard: Guard,
        observer: Observer,
        finds: Finds,
    ) -> None:
        self._root = root
        self._chosen = chosen
        self._state = state
        self._clock = clock
        self._guard = guard
        self._observer = observer
        self._finds = finds
        self._settle = Settle()
        self._vanished: list[str] = []
        self.unsettled: dict[str, float] = {}
        """Files that could not be had whole yet, and when (monotonic s) that was first so."""

    def hint(self, hint: Hint) -> None:
        """Have what a hint names looked at: when it is quiet, a whole tree at once."""
        now = self._clock.monotonic()
        if hint.tree:
            self._branch(hint.path)
        elif os.path.lexists(f"{self._root}/{hint.path}"):
            self._settle.hint(hint.path, now, prompt=hint.prompt)
            if hint.prompt and self._settle.when(hint.path) > now:
                self._glance(hint.path, now)
        else:
            # Nothing to wait for, and its other half may be a new file that is looked at now.
            self._vanished.append(hint.path)

    def wait(self, path: str, stat: Stat) -> None:
        """Look again at a file that could not be had whole, and looked like this."""
        now = self._clock.monotonic()
        self._settle.unsettled(path, stat, now)
        self.unsettled.setdefault(path, now)

    def calm(self, path: str) -> None:
        """A file was had whole."""
        self.unsettled.pop(path, None)

    def sent(self, paths: Iterable[str]) -> None:
        """Files were sent: what comes soon after has to wait longer."""
        now = self._clock.monotonic()
        for path in paths:
            self._settle.sent(path, now)
            self.calm(path)

    def hurry(self) -> None:
        """Make everything that waits due now."""
        self._settle.hurry(self._clock.monotonic())

    def next_due(self) -> float | None:
        """When (monotonic s) to look next; None while nothing waits."""
        return self._settle.next_due()

    def look(self) -> None:
        """Look at every path whose quiet period is over."""
        now = self._clock.monotonic()
        paths = [*self._vanished, *self._settle.due(now)]
        self._vanished.clear()
        if paths and self._guard.check() is None:
            for path in paths:
                self._find(path, now)

    def _find(self, path: str, now: float) -> None:
        found = look(self._root, self._chosen, path)
        if found is None:
            self._gone(path)
        elif found.folder:
            self._branch(path)
        elif found.stat:
            self._seen(path, found.stat, now)
        elif found.sidecar:
            self._observer.note_sidecar(path, found.sidecar)
            if self._settle.look(path, found.sidecar, now):
                self._finds.settled_sidecar(path)

    def _gone(self, path: str) -> None:
        if self._observer.note_sidecar(path, None):
            return
        if self._state.files.row(path) is not None:
            self._observer.note(path, None)
        else:
            self._observer.branch(path)

    def _seen(self, path: str, stat: Stat, now: float) -> None:
        news = self._observer.note(path, stat)
        if self._settle.look(path, stat, now):
            self._finds.settled(path)
            news = True
        if news:
            self._state.agenda.wake(self._clock.now_ns(), [path])

    def _glance(self, path: str, now: float) -> None:
        """It is sent only when its quiet period is over, but where another file has its name,
        the one that was sent may be looked at under its new name now."""
        row = self._state.files.row(path)
        found = look(self._root, self._chosen, path) if row and row.receipt else None
        if row and found and found.stat and found.stat[2] != row.stat[2]:
            self._observer.note(path, found.stat)
            later = self._clock.now_ns() + int((self._settle.when(path) - now) * 1e9)
            self._state.agenda.settle(path, later)

    def _branch(self, folder: str) -> None:
        if self._guard.check() is None:
            try:
                self._observer.branch(folder)
            except LocalError as error:
                self._finds.doubt(str(error))
