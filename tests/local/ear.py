"""Listens to a watcher, for the tests of what it hears and of what it loses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from syncd.local.watch import Hint, Watcher

PATIENCE = 20.0
"""Seconds until something that must be heard counts as missed; waited for in full only then."""


class Ear:
    """Takes what a watcher delivers; `stalled` makes it take nothing for a while."""

    def __init__(self, root: Path) -> None:
        self.hints: list[Hint] = []
        self.doubts: list[str] = []
        self.stalled = threading.Event()
        self.stalled.set()
        self.watcher = Watcher(root, self._deliver, self.doubts.append)

    def _deliver(self, hint: Hint) -> None:
        self.stalled.wait(30)
        self.hints.append(hint)

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, (self.hints[-20:], self.doubts)
            time.sleep(0.001)

    def hears(self, *expected: Hint) -> None:
        self.until(lambda: set(expected) <= set(self.hints))

    def hears_of(self, *paths: str) -> None:
        """Each path by itself, or by a folder above that is to be looked at whole."""
        self.until(lambda: all(self.covers(path) for path in paths))

    def covers(self, path: str) -> bool:
        return any(
            hint.path == path or (hint.tree and path.startswith(hint.path + "/"))
            for hint in self.hints.copy()
        )

    def calm(self) -> list[Hint]:
        """All hints so far, by way of a last one, which shows that none is under way."""
        mark = self.watcher._root / f"mark{len(self.hints)}.jpg"
        mark.touch()
        self.hears_of(mark.name)
        mark.unlink()
        return [hint for hint in self.hints if not hint.path.startswith("mark")]


def file(path: str, *, prompt: bool = True) -> Hint:
    return Hint(path=path, prompt=prompt, tree=False)


def branch(path: str, *, prompt: bool = True) -> Hint:
    return Hint(path=path, prompt=prompt, tree=True)
