"""How what runs until it is stopped speaks: in lines, above bars on a terminal, or not at all."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from syncd.cli import render

if TYPE_CHECKING:
    from syncd.daemon.sayings import Going, Voice

BAR = 24
NAME = 24
"""So many columns of the terminal they take."""


class Unsaid:
    """--quiet: only what a person should see to is said."""

    def say(self, text: str) -> None:
        """Nobody hears it."""

    def warn(self, text: str) -> None:
        render.note(text)

    def show(self, name: str, going: Going | None) -> bool:
        return False


class Lines:
    """For logs, and where no terminal is."""

    def say(self, text: str) -> None:
        render.note(text)

    def warn(self, text: str) -> None:
        render.note(text)

    def show(self, name: str, going: Going | None) -> bool:
        return False


class Bars(Lines):
    """A bar for each dataset that something is on its way into, below the lines."""

    def __init__(self, width: Callable[[], int]) -> None:
        """`width` tells the terminal's columns, as they are now."""
        self._width = width
        self._lock = threading.Lock()
        self._bars: dict[str, str] = {}

    def show(self, name: str, going: Going | None) -> bool:
        with self._lock:
            before = dict(self._bars)
            self._bars.pop(name, None)
            if going is not None:
                self._bars[name] = _fitted(_bar(render.shown(name), going), self._width() - 1)
            if self._bars != before:
                render.below([self._bars[known] for known in sorted(self._bars)])
        return True


def voice(*, quiet: bool, log_json: bool) -> Voice:
    """The one that fits where we are."""
    if quiet:
        return Unsaid()
    if log_json or not sys.stderr.isatty():
        return Lines()
    from rich.console import Console

    console = Console(stderr=True)
    return Lines() if console.is_dumb_terminal else Bars(lambda: console.width)


def _bar(name: str, going: Going) -> str:
    sent = f"{render.amount(going.bytes)}, {render.amount(going.rate)}/s"
    head = name if len(name) <= NAME else f"{name[: NAME - 1]}~"
    if going.left is None:
        return f"{head}  scanning, {going.done} done, {sent}"
    total = going.done + going.left
    full = round(BAR * going.part)
    left = going.seconds_left
    time = f", {int(left) // 60}:{int(left) % 60:02} left" if left is not None else ""
    return f"{head}  {'━' * full}{'╌' * (BAR - full)}  {going.done} of {total}, {sent}{time}"


def _fitted(line: str, columns: int) -> str:
    """One line of the terminal at most: what is wrapped cannot be taken back."""
    from rich.cells import chop_cells

    return chop_cells(line, max(columns, 1))[0]
