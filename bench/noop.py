"""A second look at a tree in which nothing changed: syncd beside find, rsync and rclone.

The copy that the peers compare with is made after the first push, so that it has everything the
tree has. Everybody looks once untimed before the turns begin.
"""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import contest, ours, peers, workload
from bench.contest import Row
from bench.measure import BenchError, Sample
from bench.report import Claim, Section, megabytes
from bench.workload import WORKLOADS, Tree, Workload

COLUMNS = (
    "way",
    "s (median)",
    "runs",
    "CPU s client",
    "server",
    "peak MB client",
    "read calls",
    "others' cores",
    "syncd is faster by",
)
CLAIMED = "W4"
"""On fewer files the start of the interpreter is most of what there is to see."""


@dataclass(slots=True)
class Seen:
    """The most that one unchanged push did; `tells` is whether reads of files could be seen."""

    requests: int = 0
    files: int = 0
    tells: bool = False


def measure(name: str, *, work: Path, runs: int, scale: float, wait: float) -> Section:
    """Push one workload, then let everybody find out in turns that nothing is to be done."""
    load = WORKLOADS[name].scaled(scale)
    contest.say(f"nothing changed in {load}")
    tree = workload.make(load, work / "tree")
    copy = work / "served" / "copy"
    home = work / "home"
    home.mkdir()
    seen = Seen()
    with ExitStack() as stack:
        stack.enter_context(workload.removed(tree))
        stack.callback(workload.remove, copy.parent)
        stack.callback(workload.remove, home)
        hub = stack.enter_context(ours.hub(home))
        first, _ = hub.push(tree)
        copy.parent.mkdir()
        subprocess.run(["cp", "-a", str(tree.root), str(copy)], check=True)
        seen.tells = workload.forget_reads(tree)
        rows = [Row(name="syncd push", rank="syncd", run=_again(hub, tree, seen))]
        rows += [_row(way) for way in peers.noops(tree.root, copy)]
        if "rclone" not in peers.absent():
            rows.append(_row(stack.enter_context(peers.s3_noop(tree.root, copy))))
        for row in rows:
            row.run(home)
        contest.hold(rows, runs=runs, work=work, wait=wait)
    return _section(load, rows, seen, first)


def _row(way: peers.Noop) -> Row:
    return Row(name=way.name, rank=way.rank, run=lambda _room: way.look())


def _again(hub: ours.Hub, tree: Tree, seen: Seen) -> Callable[[Path], Sample]:
    """A push that must find nothing."""

    def run(_room: Path) -> Sample:
        files, before, start = workload.were_read(tree), hub.requests(), hub.requests()
        sample, report = hub.push(tree)
        # Asking for the count is a request of its own; how it counts itself is seen beforehand.
        seen.requests = max(seen.requests, hub.requests() - start - (start - before))
        seen.files = max(seen.files, workload.were_read(tree) - files)
        if report["uploaded"] or report["bytes"]:
            raise BenchError(f"something was sent though nothing changed: {report}")
        return sample

    return run


def _section(load: Workload, rows: list[Row], seen: Seen, first: Sample) -> Section:
    push = rows[0]
    note = f"The first push took {first.seconds:.1f} s. The others asked the hub"
    return Section(
        heading=f"Nothing changed in {load}",
        columns=COLUMNS,
        rows=[_cells(row, push) for row in rows],
        claims=_claims(load, rows, seen) if load.name == CLAIMED else (),
        notes=[f"{note} {seen.requests} times each, and {_read(seen)}."],
        raw={"rows": [contest.as_json(row) for row in rows], **dataclasses.asdict(load)},
    )


def _claims(load: Workload, rows: list[Row], seen: Seen) -> list[Claim]:
    push, claims = rows[0], []
    if find := contest.best(rows, "find"):
        claims.append(_claim("times the time of find", push, find, bound=3, sense="at most"))
    if rsync := contest.best(rows, "rsync"):
        claims.append(_claim("times the speed of rsync -a", rsync, push, bound=1))
    if rclone := contest.best(rows, "rclone"):
        claims.append(_claim("times the speed of rclone's fastest", rclone, push, bound=5))
    if seen.tells:
        claims.append(Claim(text="files read", value=seen.files, must=0, sense="at most"))
    requests = seen.requests / load.files
    claims.append(Claim(text="requests a file", value=requests, must=0.01, sense="at most"))
    return claims


def _read(seen: Seen) -> str:
    if seen.tells:
        return f"read {seen.files} files by the access times"
    return "the file system keeps no access times, so it cannot be told what they read"


def _claim(text: str, above: Row, below: Row, *, bound: float, sense: str = "at least") -> Claim:
    return Claim(
        text=text,
        value=above.seconds / below.seconds,
        must=bound,
        sense="at most" if sense == "at most" else "at least",
        spread=contest.spread(above, below),
        disturbed=above.disturbed or below.disturbed,
    )


def _cells(row: Row, push: Row) -> list[str]:
    return [
        row.name,
        f"{row.seconds:.3f}",
        " ".join(f"{sample.seconds:.3f}" for sample in row.samples),
        f"{row.median(lambda sample: sample.cpu):.2f}",
        f"{row.median(lambda sample: sample.server_cpu):.2f}",
        megabytes(row.median(lambda sample: sample.rss)),
        f"{row.median(lambda sample: sample.reads):,.0f}",
        f"{row.median(lambda sample: sample.others):.2f}",
        "" if row is push else f"{row.seconds / push.seconds:.2f}",
    ]
