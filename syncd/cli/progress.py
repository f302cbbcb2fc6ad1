"""What is to be seen while files travel: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from syncd.cli.render import amount, note

if TYPE_CHECKING:
    from syncd.engine.report import Tally

LINE_S = 2.0


class Display(Protocol):
    def show(self, tally: Tally) -> None:
        """The tally changed; called often, must be cheap."""
        ...


class Silence:
    def show(self, tally: Tally) -> None:
        """Nothing is shown."""


class Lines:
    """A line every two seconds, for logs."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_S

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LINE_S
        known = "scanning" if tally.scanning else f"of {tally.files}"
        note(f"{tally.done} {known}, {amount(tally.bytes)} sent")


class Bars:
    """Rich's bars: files, bytes, rate, time left; "scanning" until the scan ends."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[sent]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("scanning", total=None, sent="")
        self._began = time.monotonic()
        self._next = 0.0
        self._progress.start()

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 0.1
        rate = tally.bytes / max(now - self._began, 0.001)
        self._progress.update(
            self._task,
            description="scanning" if tally.scanning else "sending",
            total=None if tally.scanning else tally.files,
            completed=tally.done,
            sent=f"{amount(tally.bytes)}, {amount(rate)}/s",
        )

    def close(self) -> None:
        self._progress.stop()


@contextmanager
def display(*, quiet: bool) -> Iterator[Display]:
    """The display that fits where we are."""
    if quiet:
        yield Silence()
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        bars = Bars()
        try:
            yield bars
        finally:
            bars.close()
