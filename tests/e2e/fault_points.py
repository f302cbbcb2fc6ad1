"""Kill `syncd watch` at every boundary: `python -m tests.e2e.fault_points DIR URL TOKEN`.

The boundaries are where the state file is written, the remote is asked and a file is read. They
are wrapped here, in a process of the test's own; the program knows nothing of it. One run that
nobody kills tells which there are; then for each of them there is a fresh folder that was in sync
and was worked on while nobody watched: one `syncd watch` is killed there with SIGKILL, another one
goes on, and then the dataset must be what the folder is. Processes are forked from one that has
loaded everything, so that one costs little. A file counts as big from 200,000 bytes on here.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from syncd.cli.main import main as command
from syncd.config.places import places
from syncd.engine import job, sidecar_work
from syncd.local.read import Inside
from syncd.remotes import hub
from syncd.remotes.hub import HubDataset
from syncd.remotes.wire import Wire
from syncd.state.store import State
from tests.e2e.program import Shelf, digest
from tests.engine.annotated import sidecar

AT_ONCE = 12
LOOK_S = 0.4
"""So often the hub is asked: the looks of all who wait are most of what it has to do."""
PATIENCE_S = 180.0
"""So long a run may take that shares the machine with all the others."""
LATER_S = 0.5
"""So long after the dataset is what it should be there may still be boundaries to cross."""
BOUNDARIES: tuple[tuple[Any, str], ...] = (
    (State, "commit"),
    (Wire, "json"),
    (job.Workbench, "run"),
    (Inside, "read"),
    (sidecar_work.Clerk, "run"),
)
READY = "drop files into"
FIRST = ("keep.jpg", "change.jpg", "gone.jpg", "a/same.jpg", "a/old.jpg", "mute.jpg", "big.mp4")
LATER = {
    "keep.jpg": b"first keep.jpg",
    "change.jpg": b"second change.jpg",
    "a/new.jpg": b"first a/old.jpg",
    "a/same.jpg": b"first a/same.jpg",
    "a/same~b.jpg": b"first a/b/same.jpg",
    "fresh.jpg": b"first fresh.jpg",
    "mute.jpg": b"first mute.jpg",
    "large.jpg": b"large" * 20_000,
    "big.mp4": b"second big.mp4" * 20_000,
}
"""What there is at the end, and below what the sidecars say."""
LABELS = {"keep.jpg": "second", "fresh.jpg": "first", "a/new.jpg": "moved"}
SENT = ("large.jpg", "big.mp4")
"""Of each case another content: the hub asks for none that it holds."""

Point = tuple[str, int]
"""A boundary with the side it is crossed on, and the how manieth time that is."""


def main() -> int:
    home, url, token = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.environ["SYNCD_TOKEN"] = token
    points = Case(home / "whole", Shelf(url, token, "whole")).crossed()
    cases = [
        (point, Case(home / f"{number}", Shelf(url, token, f"fault-point-{number}")))
        for number, point in enumerate(points)
    ]

    def some(first: int) -> None:
        for point, case in cases[first::AT_ONCE]:
            reached = case.survives(point)
            print(f"{'killed' if reached else 'not met'} {point[0]} {point[1]}", flush=True)

    # They mostly wait for the grace of removals: together they take as long as a few.
    workers = [fork(partial(some, first)) for first in range(AT_ONCE)]
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers)


@dataclass(frozen=True)
class Case:
    """A folder that was in sync and was worked on since, and its dataset."""

    place: Path
    shelf: Shelf

    @property
    def root(self) -> Path:
        return self.place / "inbox"

    def crossed(self) -> Sequence[Point]:
        """Every point that a run crosses which nobody kills."""
        record = self.place / "crossed"
        self._prepare()
        assert ended(self._watch(partial(note, record))) == 0, self._said
        times: Counter[str] = Counter()
        points = []
        for name in record.read_text().splitlines():
            times[name] += 1
            points.append((name, times[name]))
        return points

    def survives(self, point: Point) -> bool:
        """Kill at a point and recover; whether the run came that far."""
        self._prepare()
        status = ended(self._watch(partial(kill_at, point)))
        hold_to_receipts(self.shelf)
        assert status in (0, -signal.SIGKILL), f"{point} ended with {status}: {self._said}"
        again = ended(self._watch(lambda name: None))
        assert again == 0, f"{point}, then ended with {again}: {self._said}"
        self._matches()
        assert self.shelf.trashed() == {"gone.jpg"}, point
        hold_to_receipts(self.shelf)
        shutil.rmtree(self.place)
        return status != 0

    def _prepare(self) -> None:
        for name in FIRST:
            write(self.root / name, f"first {name}".encode())
        write(self.root / "keep.jpg.json", sidecar("first"))
        write(self.root / "mute.jpg.json", sidecar("first"))
        write(self.root / "a" / "old.jpg.json", sidecar("moved"))
        assert ended(self._fork("push", lambda name: None)) == 0, self._said
        work(self.root, self.content)

    @property
    def content(self) -> Mapping[str, bytes]:
        """What the dataset must hold at the end."""
        own = self.place.name.encode()
        return {key: own + said if key in SENT else said for key, said in LATER.items()}

    def _watch(self, cross: Callable[[str], None]) -> int:
        """Have it watched until all is done, or it is dead; its pid."""
        begun = self._said.count(READY)
        pid = self._fork("watch", cross)
        deadline = time.monotonic() + PATIENCE_S
        while not dead(pid, LOOK_S) and time.monotonic() < deadline:
            with suppress(AssertionError):
                assert self._said.count(READY) > begun, "it cannot be told to stop yet"
                self._matches()
                dead(pid, LATER_S)
                break
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return pid

    def _fork(self, verb: str, cross: Callable[[str], None]) -> int:
        return fork(partial(self._syncd, verb, cross))

    def _syncd(self, verb: str, cross: Callable[[str], None]) -> None:
        with (self.place / "log").open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        arm(cross)
        to = ["--to", self.shelf.name, "--remote", self.shelf.url]
        sys.argv = ["syncd", verb, str(self.root), *to]
        command()

    @property
    def _said(self) -> str:
        return (self.place / "log").read_text()

    def _matches(self) -> None:
        found = self.shelf.digests()
        wanted = {key: digest(content) for key, content in self.content.items()}
        assert found == wanted, f"{self.place.name}: {found} instead of {wanted}"
        assert (told := labels(self.shelf)) == LABELS, f"{self.place.name}: {told}"


def work(root: Path, content: Mapping[str, bytes]) -> None:
    """One of every kind of change."""
    (root / "gone.jpg").unlink()
    for ending in ("jpg", "jpg.json"):
        (root / "a" / f"old.{ending}").rename(root / "a" / f"new.{ending}")
    write(root / "a" / "b" / "same.jpg", content["a/same~b.jpg"])
    for name in ("change.jpg", "fresh.jpg", "large.jpg", "big.mp4"):
        write(root / name, content[name])
    write(root / "keep.jpg.json", sidecar("second"))
    write(root / "fresh.jpg.json", sidecar("first"))
    (root / "mute.jpg.json").unlink()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def labels(shelf: Shelf) -> Mapping[str, str]:
    """The label of every item that has one."""
    with shelf.open() as dataset:
        found = list(dataset.annotations(list(dataset.items())))
    return {item.key: sets[0].annotations[0].label for item, sets in found if sets}


# --- processes ------------------------------------------------------------------------------------


def fork(run: Callable[[], None]) -> int:
    """Run something in a process of its own; its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            print(f"the child broke: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return pid


def dead(pid: int, within_s: float) -> bool:
    """Whether a child is before so much time is over; it can still be waited for."""
    child = os.pidfd_open(pid)
    try:
        return bool(select.select([child], [], [], within_s)[0])
    finally:
        os.close(child)


def ended(pid: int) -> int:
    """The exit status of a child, or minus the signal that ended it."""
    assert dead(pid, PATIENCE_S), f"still running after {PATIENCE_S} s"
    _, waited = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(waited)


# --- boundaries -----------------------------------------------------------------------------------


def arm(cross: Callable[[str], None]) -> None:
    """Have every crossing told, in this process from now on, and files be big early."""
    HubDataset.traits = replace(HubDataset.traits, batch_bytes=400_000)
    hub.PART = 100_000
    for owner, name in BOUNDARIES:
        setattr(owner, name, crossing(owner, name, cross))


def crossing(owner: Any, name: str, cross: Callable[[str], None]) -> Callable[..., Any]:
    call = getattr(owner, name)

    def crossed(*args: Any, **kwargs: Any) -> Any:
        if owner is State and not args[0]._sql.in_transaction:
            return call(*args, **kwargs)  # a turn in which nothing happened
        what = boundary(owner, name, args)
        cross(f"before {what}")
        result = call(*args, **kwargs)
        cross(f"after {what}")
        return result

    return crossed


def boundary(owner: Any, name: str, args: tuple[Any, ...]) -> str:
    """What is crossed, in one word; a request by its method and the kind of its address."""
    if owner is not Wire:
        return f"{owner.__name__.rpartition('.')[2]}.{name}"
    parts = [part for part in args[2].split("/")[2:] if part]
    return "-".join([args[1], *(parts[:1] if len(parts) < 3 else parts[2:])])


def note(record: Path, name: str) -> None:
    with record.open("a") as out:
        out.write(f"{name}\n")


def kill_at(point: Point, name: str) -> None:
    if name == point[0]:
        CROSSED[name] += 1
        if CROSSED[name] == point[1]:
            os.kill(os.getpid(), signal.SIGKILL)


CROSSED: Counter[str] = Counter()


# --- what was promised ----------------------------------------------------------------------------


def hold_to_receipts(shelf: Shelf) -> None:
    """Whatever a state file of this user calls stored is stored."""
    missing = shelf.missing(receipts(places().mirrors))
    assert not missing, f"called stored, but not there: {missing}"


def receipts(mirrors: Path) -> set[str]:
    """The digests that the state files below a folder call stored."""
    digests: set[str] = set()
    for file in mirrors.glob("*/state.db"):
        # Others are at work on theirs: one that recovers or closes may keep it for a while.
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=60)) as sql:
            if sql.execute("SELECT name FROM sqlite_master WHERE name = 'files'").fetchone():
                rows = sql.execute("SELECT stored_digest FROM files WHERE item_id IS NOT NULL")
                digests |= {row[0] for row in rows}
    return digests


if __name__ == "__main__":
    sys.exit(main())
