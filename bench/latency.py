"""From a file's close to the hub's durable answer: at a steady pace, and in a burst.

Two clocks are shown: `stored_ns`, the moment at which the hub begins with the batch that brings
the file, and the moment at which a third process reads of it in the change feed, which tells only
of what is committed. The hub's answer lies between the two, so the claims are made on the second.
lsyncd, where it is installed, copies into a local folder and flushes nothing; there the change
time of the arrived file counts.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import contest, ours
from bench.feed import Feed, follow
from bench.measure import DISTURBED, BenchError, Program, cpu_of, machine_cpu
from bench.report import Claim, Section, milliseconds

COUNT = 300
PACE = 50.0
Delays = list[float]
"""Milliseconds from close to arrival, one a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the writer is told: how many files, how many a second (0: at once), which seed."""

    count: int
    pace: float
    seed: int

    def command(self, folder: Path) -> list[str]:
        numbers = [str(self.count), str(self.pace), str(self.seed)]
        return [sys.executable, "-m", "bench.writer", str(folder), *numbers]


@dataclass(slots=True, kw_only=True)
class Line:
    """One way to look at the delays, with those of every repetition."""

    name: str
    runs: list[Delays] = field(default_factory=list)

    def median(self, share: float) -> float:
        """The median over the repetitions of one quantile of each."""
        return statistics.median(quantile(run, share) for run in self.runs)

    def spread(self, share: float) -> tuple[float, float]:
        values = [quantile(run, share) for run in self.runs]
        return min(values), max(values)


def measure(*, pace: float, work: Path, runs: int, scale: float, wait: float) -> Section:
    """Write files at `pace` a second, or all at once where it is 0, and see them arrive."""
    count = max(10, round(COUNT * scale))
    words = f"{count} files of 8 KiB, {f'{pace:.0f} a second' if pace else 'all at once'}"
    contest.say(words)
    stored, seen = (
        Line(name="syncd, arrived at the hub (`stored_ns`)"),
        Line(name="syncd, durable, seen in the feed"),
    )
    lsyncd = Line(name="lsyncd, delay 0, to a local copy, not flushed")
    others = []
    for seed in range(runs):
        task = Task(count=count, pace=pace, seed=seed)
        with contest.room(work, wait) as room:
            early, late, cores = _ours(room, task)
        stored.runs.append(early)
        seen.runs.append(late)
        others.append(cores)
        if shutil.which("lsyncd") and shutil.which("rsync"):
            with contest.room(work, wait) as room:
                lsyncd.runs.append(_lsyncd(room, task))
        contest.say(f"  {seed + 1}/{runs} median {quantile(late, 0.5):.1f} ms")
    lines = [line for line in (stored, seen, lsyncd) if line.runs]
    return _section(words, lines, claims=_claims(seen, pace, statistics.median(others)))


def quantile(delays: Delays, share: float) -> float:
    """The smallest delay that at least this share of the files did not exceed."""
    ordered = sorted(delays)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def _ours(room: Path, task: Task) -> tuple[Delays, Delays, float]:
    """Delays by the hub's clock and by the feed, and the cores that others used meanwhile."""
    folder = room / "inbox"
    folder.mkdir()
    with ours.hub(room) as hub, hub.watch(folder, room / "watch.log") as daemon:
        feed = follow(hub)
        try:
            _greet(feed, folder)
            known = (hub.server, daemon)
            before, start = _of_others(known), time.monotonic()
            closed = _observed(feed, task, folder)
            cores = (_of_others(known) - before) / (time.monotonic() - start)
        finally:
            feed.close()
    early = [milliseconds(feed.stored[name] - when) for name, when in closed.items()]
    late = [milliseconds(feed.seen[name] - when) for name, when in closed.items()]
    return early, late, max(0.0, cores)


def _observed(feed: Feed, task: Task, folder: Path) -> dict[str, int]:
    """Have the files written while the feed is read; return when each was closed."""
    goal = len(feed.seen) + task.count
    with subprocess.Popen(task.command(folder), cwd=ours.ROOT, stdout=subprocess.PIPE) as writer:
        feed.follow(lambda: len(feed.seen) >= goal, 60)
        assert writer.stdout is not None
        closed: dict[str, int] = json.loads(writer.stdout.read())
    return closed


def _greet(feed: Feed, folder: Path) -> None:
    """Wait until the daemon watches: a first file has come, and then nothing happens for 2 s."""
    (folder / "greeting.jpg").write_bytes(b"greeting")
    feed.follow(lambda: "greeting.jpg" in feed.seen, 60)
    time.sleep(2)


def _lsyncd(room: Path, task: Task) -> Delays:
    source, target = room / "inbox", room / "copy"
    source.mkdir()
    target.mkdir()
    rules = room / "lsyncd.lua"
    rules.write_text(
        "settings { nodaemon = true }\n"
        f'sync {{ default.rsync, source = "{source}", target = "{target}", delay = 0 }}\n'
    )
    with Program(["lsyncd", str(rules)], log=room / "lsyncd.log"):
        (source / "greeting.jpg").write_bytes(b"greeting")
        _arrived(target, 1)
        time.sleep(2)
        out = subprocess.check_output(task.command(source), cwd=ours.ROOT)
        _arrived(target, task.count + 1)
        closed: dict[str, int] = json.loads(out)
        changed = {name: (target / name).stat().st_ctime_ns for name in closed}
    return [milliseconds(changed[name] - when) for name, when in closed.items()]


def _arrived(target: Path, count: int) -> None:
    end = time.monotonic() + 60
    while sum(1 for _ in target.glob("*.jpg")) < count:
        if time.monotonic() > end:
            raise BenchError(f"lsyncd did not bring {count} files")
        time.sleep(0.05)


def _of_others(known: Sequence[Program]) -> float:
    """CPU seconds that neither these programs nor this one, with its writer, have used."""
    return machine_cpu() - cpu_of(os.getpid()) - sum(program.cpu() for program in known)


def _claims(line: Line, pace: float, others: float) -> list[Claim]:
    bounds = [("median", 0.5, 25, 5), ("99 of 100", 0.99, 150, 25)]
    if not pace:
        bounds = [("the last of the burst", 1.0, 1000, 150)]
    return [
        Claim(
            text=f"from close to the hub's answer, {words}",
            value=line.median(share),
            must=must,
            aim=aim,
            sense="at most",
            unit="ms",
            spread=line.spread(share),
            disturbed=others > DISTURBED,
        )
        for words, share, must, aim in bounds
    ]


def _section(words: str, lines: Sequence[Line], *, claims: Sequence[Claim]) -> Section:
    shares = {"median ms": 0.5, "90 of 100": 0.9, "99 of 100": 0.99, "last": 1.0}
    cells = [
        [line.name, *(f"{line.median(share):.1f}" for share in shares.values())] for line in lines
    ]
    return Section(
        heading=f"From a file's close to the answer: {words}",
        columns=["way", *shares],
        rows=cells,
        claims=claims,
        raw={"lines": [{"name": line.name, "milliseconds": line.runs} for line in lines]},
    )
