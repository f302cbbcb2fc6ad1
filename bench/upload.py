"""The first upload of a tree: syncd to its hub beside rclone to its servers, cp and rsync."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from bench import contest, ours, peers, workload
from bench.contest import Row
from bench.measure import BenchError, Sample
from bench.report import Claim, Section, megabytes
from bench.workload import WORKLOADS, Tree

BOUNDS = {
    "W1": {"rclone": (5.0, 10.0), "cp": (1.0, 2.0)},
    "W2": {"rclone": (1.5, 3.0)},
    "W3": {"rclone": (1.0, 2.0)},
}
COLUMNS = (
    "way",
    "s (median)",
    "runs",
    "files/s",
    "MB/s",
    "CPU s client",
    "server",
    "peak MB client",
    "server",
    "others' cores",
    "syncd is faster by",
)
NAMES = {"rclone": "the best `rclone copy` to a server", "cp": "`cp -a` followed by `sync`"}


def measure(name: str, *, work: Path, runs: int, scale: float, wait: float) -> Section:
    """Upload one workload by every way in turns."""
    load = WORKLOADS[name].scaled(scale)
    contest.say(f"upload of {load}")
    tree = workload.make(load, work / "tree")
    rows = [Row(name="syncd push", rank="syncd", run=lambda room: ours.carry(tree, room))]
    rows += [Row(name=way.name, rank=way.rank, run=_counted(way, tree)) for way in peers.uploads()]
    with workload.removed(tree):
        contest.hold(rows, runs=runs, work=work, wait=wait)
    return _section(tree, rows)


def _counted(way: peers.Upload, tree: Tree) -> Callable[[Path], Sample]:
    def run(room: Path) -> Sample:
        sample = way.carry(tree, room)
        arrived = workload.count(room)
        if arrived != (tree.workload.files, tree.workload.bytes):
            raise BenchError(f"{way.name}: only {arrived} of {tree.workload} arrived")
        return sample

    return run


def _section(tree: Tree, rows: list[Row]) -> Section:
    load, first = tree.workload, rows[0]
    bounds = BOUNDS[load.name].items()
    claims = [_claim(first, contest.best(rows, rank), rank, must) for rank, must in bounds]
    return Section(
        heading=f"Upload of {load}",
        columns=COLUMNS,
        rows=[_cells(tree, row, first) for row in rows],
        claims=[claim for claim in claims if claim],
        raw={"rows": [contest.as_json(row) for row in rows], **dataclasses.asdict(load)},
    )


def _claim(first: Row, peer: Row | None, rank: str, bounds: tuple[float, float]) -> Claim | None:
    if peer is None:
        return None
    return Claim(
        text=f"times the speed of {NAMES[rank]}",
        value=peer.seconds / first.seconds,
        must=bounds[0],
        aim=bounds[1],
        spread=contest.spread(peer, first),
        disturbed=first.disturbed or peer.disturbed,
    )


def _cells(tree: Tree, row: Row, first: Row) -> list[str]:
    load = tree.workload
    return [
        row.name,
        f"{row.seconds:.2f}",
        " ".join(f"{sample.seconds:.2f}" for sample in row.samples),
        f"{load.files / row.seconds:,.0f}" if load.files > 10 else "-",
        f"{load.bytes / row.seconds / 1e6:.0f}",
        f"{row.median(lambda sample: sample.cpu):.2f}",
        f"{row.median(lambda sample: sample.server_cpu):.2f}",
        megabytes(row.median(lambda sample: sample.rss)),
        megabytes(row.median(lambda sample: sample.server_rss)),
        f"{row.median(lambda sample: sample.others):.2f}",
        "" if row is first else f"{row.seconds / first.seconds:.2f}",
    ]
