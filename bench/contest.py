"""Runs the contestants of a part in turns (A B C, A B C) and keeps what each run cost.

In turns, because a machine gets slower and faster over minutes: only what ran side by side can be
compared. Every run starts in an empty room, on a quiet machine, with nothing left to flush.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import DISTURBED, Sample, quiet


@dataclass(slots=True, kw_only=True)
class Row:
    """A contestant and its runs so far. `rank` says what the verdicts compare with it."""

    name: str
    run: Callable[[Path], Sample]
    rank: str = ""
    samples: list[Sample] = field(default_factory=list)

    def median(self, of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in self.samples)

    @property
    def seconds(self) -> float:
        return self.median(lambda sample: sample.seconds)

    @property
    def disturbed(self) -> bool:
        return self.median(lambda sample: sample.others) > DISTURBED


def hold(rows: Sequence[Row], *, runs: int, work: Path, wait: float) -> None:
    """Let every contestant run `runs` times, taking turns; `wait` bounds the wait for quiet."""
    for turn in range(runs):
        for row in rows:
            with_room(row, work, wait)
            say(f"  {turn + 1}/{runs} {row.name}: {row.samples[-1].seconds:.3f} s")


def with_room(row: Row, work: Path, wait: float) -> None:
    room = work / "room"
    room.mkdir()
    try:
        quiet(wait)
        row.samples.append(row.run(room))
    finally:
        shutil.rmtree(room)
        subprocess.run(["sync", "-f", str(work)], check=True)


def best(rows: Sequence[Row], rank: str) -> Row | None:
    """The fastest contestant of a rank, by its median."""
    return min((row for row in rows if row.rank == rank), key=lambda row: row.seconds, default=None)


def say(text: str) -> None:
    """What goes on, apart from the report: the report alone is on standard output."""
    print(text, file=sys.stderr, flush=True)
