"""The daemon's memory when a big tree is in sync, and what each file more costs.

The hub is a process of its own and not counted. A daemon is called steady when it has used next
to no CPU for three seconds. It is looked at after it sent everything, and again after it was
started anew on the same state.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bench import contest, ours, workload
from bench.measure import BenchError, Program
from bench.report import Claim, Section, megabytes
from bench.workload import WORKLOADS, Tree

SMALL = 0.1
LIMIT = 150e6
PER_FILE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Bytes of the daemon over one tree: steady and at most, first and after a new start."""

    files: int
    seconds: float
    steady: int
    peak: int
    again: int
    again_peak: int


def measure(*, work: Path, scale: float) -> Section:
    """Watch a tenth of W4, then all of it."""
    looks = [_look(work, scale * SMALL), _look(work, scale)]
    small, big = looks
    more = big.files - small.files
    growth = max(big.steady - small.steady, big.again - small.again) / more
    return Section(
        heading="Memory of the daemon, the hub not counted",
        columns=[
            "files",
            "s until in sync",
            "MB steady",
            "at most",
            "MB steady, started anew",
            "at most",
        ],
        rows=[_cells(look) for look in looks],
        claims=[
            Claim(
                text=f"steady at {big.files:,} files",
                value=max(big.steady, big.again) / 1e6,
                must=LIMIT / 1e6,
                sense="at most",
                unit="MB",
            ),
            Claim(
                text="growth with the tree",
                value=growth,
                must=PER_FILE,
                sense="at most",
                unit="bytes a file",
            ),
        ],
        raw={"looks": [{name: getattr(look, name) for name in Look.__slots__} for look in looks]},
    )


def _look(work: Path, scale: float) -> Look:
    tree = workload.make(WORKLOADS["W4"].scaled(scale), work / "tree")
    contest.say(f"memory over {tree.workload}")
    with workload.removed(tree), contest.room(work, 0) as room, ours.hub(room) as hub:
        start = time.monotonic()
        with hub.watch(tree.root, room / "first.log") as daemon:
            in_sync(hub, tree, daemon)
            seconds = time.monotonic() - start
            steady, peak = steady_size(daemon)
        with hub.watch(tree.root, room / "second.log") as daemon:
            again, again_peak = steady_size(daemon)
    return Look(
        files=tree.workload.files,
        seconds=seconds,
        steady=steady,
        peak=peak,
        again=again,
        again_peak=again_peak,
    )


def in_sync(hub: ours.Hub, tree: Tree, daemon: Program) -> None:
    """Wait until the hub holds the whole tree; a daemon that does nothing ends the wait."""
    goal, idle = (tree.workload.files, tree.workload.bytes), 0
    while (held := hub.holdings()) != goal:
        daemon.check()
        before = daemon.cpu()
        time.sleep(1)
        idle = idle + 1 if daemon.cpu() - before < 0.02 else 0
        if idle > 60:
            raise BenchError(f"the daemon is idle, and the hub holds {held} of {goal}")


def steady_size(daemon: Program, limit: float = 300) -> tuple[int, int]:
    """Resident bytes once the process is idle, and the most it ever had."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        daemon.check()
        before = daemon.cpu()
        time.sleep(3)
        if daemon.cpu() - before < 0.1:
            return daemon.resident(), daemon.peak()
    raise BenchError(f"the daemon was not idle for {limit} s")


def _cells(look: Look) -> list[str]:
    sizes = (look.steady, look.peak, look.again, look.again_peak)
    return [f"{look.files:,}", f"{look.seconds:.1f}", *map(megabytes, sizes)]
