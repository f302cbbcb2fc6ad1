"""Listens to a watcher, for the tests of what it hears and of what it loses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.local.hint import Hint
from syncd.local.watch import Watcher
from syncd.local.watch.observer import TreeObserver
from syncd.local.watch.tree import Tree

PATIENCE = 20.0
"""Seconds until something that must be heard counts as missed; waited for in full only then."""


class Ear:
    """Takes what a watcher delivers, and reaches what is inside of it."""

    def __init__(self, root: Path) -> None:
        self.hints: list[Hint] = []
        self.doubts: list[str] = []
        self.watcher = Watcher(root, self.hints.append, self.doubts.append)

    @property
    def observer(self) -> TreeObserver:
        assert self.watcher._observer is not None
        return self.watcher._observer

    @property
    def tree(self) -> Tree:
        return self.observer.tree

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Meanwhile what happens stays with the kernel."""
        with self.tree._lock:
            yield

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
