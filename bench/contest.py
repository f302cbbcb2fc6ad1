"""Runs the contestants of a part in turns (A B C, A B C) and keeps what each run cost.

In turns, because a machine gets slower and faster over minutes: only what ran side by side can be
compared. Every run starts in an empty room, on a quiet machine, with nothing left to flush.
"""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
            with room(work, wait) as folder:
                row.samples.append(row.run(folder))
            say(f"  {turn + 1}/{runs} {row.name}: {row.samples[-1].seconds:.3f} s")


@contextmanager
def room(work: Path, wait: float) -> Iterator[Path]:
    """An empty folder on a quiet machine; at the end it is gone and nothing is left to flush."""
    folder = work / "room"
    folder.mkdir()
    try:
        quiet(wait)
        yield folder
    finally:
        shutil.rmtree(folder)
        subprocess.run(["sync", "-f", str(work)], check=True)


def best(rows: Sequence[Row], rank: str) -> Row | None:
    """The fastest contestant of a rank, by its median."""
    return min((row for row in rows if row.rank == rank), key=lambda row: row.seconds, default=None)


def spread(above: Row, below: Row) -> tuple[float, float]:
    """The lowest and the highest ratio of times that one turn gave."""
    pairs = zip(above.samples, below.samples, strict=True)
    ratios = [one.seconds / other.seconds for one, other in pairs]
    return min(ratios), max(ratios)


def as_json(row: Row) -> dict[str, Any]:
    """Every run of a row, without what the command printed."""
    samples = [dataclasses.asdict(sample) for sample in row.samples]
    for sample in samples:
        del sample["output"]
    return {"name": row.name, "rank": row.rank, "median": row.seconds, "samples": samples}


def say(text: str) -> None:
    """What goes on, apart from the report: the report alone is on standard output."""
    print(text, file=sys.stderr, flush=True)
