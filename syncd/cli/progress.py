"""What is to be seen while files travel: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from syncd.cli.render import amount, note

if TYPE_CHECKING:
    from rich.console import RenderableType

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

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._next = time.monotonic() + LINE_S

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + LINE_S
        known = "scanning" if tally.scanning else f"of {tally.files}"
        note(f"{self._verb}: {tally.done} {known}, {amount(tally.sent)}")


class Bars:
    """Rich's bars: files, bytes, rate, time left; "scanning" until the scan ends."""

    def __init__(self, verb: str) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._verb = verb
        self._tally: Tally | None = None
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[files]}", style="progress.download"),
            TextColumn("{task.fields[sent]}"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("scanning", total=None, files="", sent="")
        self._live = Live(
            console=Console(stderr=True), transient=True, refresh_per_second=10,
            get_renderable=self._drawn,
        )  # fmt: skip
        self._live.start()

    def show(self, tally: Tally) -> None:
        self._tally = tally

    def _drawn(self) -> RenderableType:
        """The bar as the tally is now: a big file under way tells nobody of itself."""
        if tally := self._tally:
            rate = tally.sent / max(time.monotonic() - self._began, 0.001)
            self._progress.update(
                self._task,
                description="scanning" if tally.scanning else self._verb,
                total=None if tally.scanning else 1.0,
                completed=tally.part,
                files=f"{tally.done}" if tally.scanning else f"{tally.done} of {tally.files}",
                sent=f"{amount(tally.sent)}, {amount(rate)}/s",
            )
        return self._progress

    def close(self) -> None:
        self._live.stop()


@contextmanager
def display(verb: str, *, quiet: bool) -> Iterator[Display]:
    """The display that fits where we are."""
    if quiet:
        yield Silence()
    elif not sys.stderr.isatty():
        yield Lines(verb)
    else:
        bars = Bars(verb)
        try:
            yield bars
        finally:
            bars.close()
