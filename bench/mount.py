"""Reading through a mount: syncd beside a tuned rclone mount and the disk, in one run.

Small files in the order of a listing, larger ones at random by four processes, one big file, and
`ls -lR`: each for the first time in a fresh mount with an empty cache, and once more at once.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import contest, mounts, workload
from bench.measure import BenchError, Sample, timed
from bench.mounts import Mounted, Way
from bench.report import Claim, Section, megabytes
from bench.workload import WORKLOADS, Tree, Workload

COLUMNS = ("way", "what", "s first", "s again", "a second, first", "again", "CPU s of the mount",
           "peak MB")  # fmt: skip
DISK, OURS = "the disk itself", "syncd mount"
AHEAD, PEER = "syncd mount, prefetch", "rclone mount, tuned"
LISTING = "ls -lR"
READERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What syncd's mount has to reach: times the peer's speed, first and again (must, aim)."""

    what: str
    first: tuple[float, float]
    again: tuple[float, float] | None = None
    disk: bool = False
    """Whether again is held against the disk as well."""


@dataclass(slots=True)
class Seen:
    """What one way took for one thing, turn by turn."""

    first: list[Sample] = field(default_factory=list)
    again: list[Sample] = field(default_factory=list)


Found = dict[tuple[str, str], Seen]
BOUNDS = {
    "W1": Bound(what="in order", first=(4, 8), again=(15, 40), disk=True),
    "W2": Bound(what=f"at random by {READERS}", first=(1.5, 3), again=(6, 14), disk=True),
    "W3": Bound(what="one big file", first=(1, 1.5), again=(3, 6)),
}
MEMORY = 100_000_000


def measure(name: str, *, work: Path, runs: int, scale: float, wait: float) -> Section:
    """Serve one workload and read it in turns by every way."""
    if reason := mounts.able():
        raise BenchError(reason)
    load = WORKLOADS[name].scaled(scale)
    if name == "W3":
        load = dataclasses.replace(load, files=1)
    contest.say(f"reading {load}")
    (work / "served").mkdir()
    tree = workload.make(load, work / "served" / "tree")
    found: Found = {}
    with ExitStack() as stack:
        stack.callback(workload.remove, work / "served")
        stack.callback(workload.remove, work / "home")
        ways = list(_ways(stack, tree, work / "home", prefetch=name == "W2"))
        for _ in range(runs):
            for way in ways:
                _turn(way, tree, name, found, work, wait)
    return _section(name, load, found)


def _ways(stack: ExitStack, tree: Tree, home: Path, *, prefetch: bool) -> Iterator[Way]:
    yield stack.enter_context(mounts.disk(tree))
    plain, ahead = stack.enter_context(mounts.syncd(tree, home))
    yield plain
    if prefetch:
        yield ahead
    yield stack.enter_context(mounts.rclone(tree))


def _turn(way: Way, tree: Tree, name: str, found: Found, work: Path, wait: float) -> None:
    with contest.room(work, wait) as room:
        names = room / "names"
        names.write_bytes(_names(tree, shuffled=name == "W2"))
        share = -(-tree.workload.files // READERS)
        cat = f"xargs -0 -P {READERS} -n {share} cat" if name == "W2" else "xargs -0 cat"
        with way.mount(room) as mounted:
            script = f"cd '{mounted.point}' && {cat} < '{names}' > /dev/null"
            _twice(way, BOUNDS[name].what, mounted, ["sh", "-c", script], found)
            _compare(tree, mounted.point)
    if name == "W1":
        with contest.room(work, wait) as room, way.mount(room) as mounted:
            _twice(way, LISTING, mounted, ["ls", "-lR", str(mounted.point)], found)


def _twice(way: Way, what: str, mounted: Mounted, argv: Sequence[str], found: Found) -> None:
    seen = found.setdefault((way.name, what), Seen())
    for times in (seen.first, seen.again):
        times.append(timed(argv, server=mounted.program))
    seconds = f"{seen.first[-1].seconds:.3f} s, again {seen.again[-1].seconds:.3f} s"
    contest.say(f"  {way.name}, {what}: {seconds}")


def _compare(tree: Tree, point: Path) -> None:
    """Read some files once more, and believe no number where one is not what it was."""
    names = _names(tree, shuffled=True).decode().split("\0")[:50]
    for name in filter(None, names):
        if (tree.root / name).read_bytes() != (point / name).read_bytes():
            raise BenchError(f"{name} is another file through the mount")


def _names(tree: Tree, *, shuffled: bool) -> bytes:
    names = sorted(str(path.relative_to(tree.root)) for path in tree.root.glob("*/*.jpg"))
    if shuffled:
        random.Random(1).shuffle(names)
    return b"".join(name.encode() + b"\0" for name in names)


def _section(name: str, load: Workload, found: Found) -> Section:
    return Section(
        heading=f"Reading {load} through a mount",
        columns=COLUMNS,
        rows=[_cells(way, what, seen, load) for (way, what), seen in found.items()],
        claims=list(_claims(BOUNDS[name], found)),
        raw={
            "rows": [
                {"way": way, "what": what, "first": _raw(seen.first), "again": _raw(seen.again)}
                for (way, what), seen in found.items()
            ],
            **dataclasses.asdict(load),
        },
    )


def _claims(bound: Bound, found: Found) -> Iterator[Claim]:
    ours, peer = found[OURS, bound.what], found[PEER, bound.what]
    must, aim = bound.first
    text = f"{bound.what}, first: times the speed of rclone mount"
    yield _times(
        text, peer.first, ours.first, must, aim if (AHEAD, bound.what) not in found else None
    )
    if ahead := found.get((AHEAD, bound.what)):
        yield _times(f"{text}, with prefetch", peer.first, ahead.first, must, aim)
    if bound.again:
        text = f"{bound.what}, again: times the speed of rclone mount"
        yield _times(text, peer.again, ours.again, *bound.again)
    if bound.disk:
        text = f"{bound.what}, again: of the disk's speed"
        yield _times(text, found[DISK, bound.what].again, ours.again, 0.4, 0.75)
    if bound.what == BOUNDS["W1"].what:
        listed = found[PEER, LISTING].first, found[OURS, LISTING].first
        yield _times(f"{LISTING}, first: times the speed of rclone mount", *listed, 1.3, 2)
        peak = max(sample.server_rss for sample in ours.again)
        yield Claim(
            text="memory of the mount", value=peak / 1e6, must=MEMORY / 1e6, sense="at most",
            unit="MB",
        )  # fmt: skip


def _times(
    text: str, slow: list[Sample], fast: list[Sample], must: float, aim: float | None
) -> Claim:
    ratios = [one.seconds / two.seconds for one, two in zip(slow, fast, strict=True)]
    return Claim(
        text=text,
        value=_seconds(slow) / _seconds(fast),
        must=must,
        aim=aim,
        spread=(min(ratios), max(ratios)),
    )


def _cells(way: str, what: str, seen: Seen, load: Workload) -> list[str]:
    cpu = statistics.median(sample.server_cpu for sample in seen.first)
    return [
        way,
        what,
        f"{_seconds(seen.first):.3f}",
        f"{_seconds(seen.again):.3f}",
        _rate(load, seen.first),
        _rate(load, seen.again),
        f"{cpu:.2f}",
        megabytes(max(sample.server_rss for sample in seen.again)),
    ]


def _rate(load: Workload, samples: list[Sample]) -> str:
    if load.files == 1:
        return f"{load.bytes / _seconds(samples) / 1e6:,.0f} MB"
    return f"{load.files / _seconds(samples):,.0f} files"


def _seconds(samples: list[Sample]) -> float:
    return statistics.median(sample.seconds for sample in samples)


def _raw(samples: list[Sample]) -> list[dict[str, float]]:
    kept = ("seconds", "cpu", "server_cpu", "server_rss", "others")
    return [{name: getattr(sample, name) for name in kept} for sample in samples]
