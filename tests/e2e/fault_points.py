"""Kill a mirror at every crossing of its boundaries once: `python -m tests.e2e.fault_points DIR`.

The boundaries are where the state file is written, the remote is asked and a file is read. They
are wrapped here, in a process of the test's own; the program knows nothing of it. For each crossing
there is a fresh folder that was in sync and was then worked on; a child syncs it and is killed
there with SIGKILL, another one syncs it to the end, and then the dataset must be what the folder
is. Children are forked from a process that has loaded everything, so that one costs little.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from syncd.client import Client
from syncd.config.places import places
from syncd.engine import job
from syncd.engine.opening import Target, opened
from syncd.engine.options import Options
from syncd.engine.session import bind, over
from syncd.remotes.hub import HubDataset
from syncd.state.store import State
from tests.e2e.program import Shelf, digest

BOUNDARIES: tuple[tuple[Any, str], ...] = (
    (State, "commit"),
    (HubDataset, "changes"),
    (HubDataset, "put"),
    (HubDataset, "move"),
    (HubDataset, "remove"),
    (job.Workbench, "run"),
    (job, "read"),
)
MOST = 500
AT_ONCE = 8


def main() -> int:
    home, url, token = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    def some(first: int) -> None:
        for number in range(first, MOST, AT_ONCE):
            if not point(number, home, Shelf(url, token, f"fault-point-{number}")):
                return
        raise AssertionError("the run never ended by itself")

    # They mostly wait for the grace of removals: together they take as long as a few.
    workers = [fork(partial(some, first)) for first in range(1, AT_ONCE + 1)]
    return max(abs(ended(pid)) for pid in workers)


def point(number: int, home: Path, shelf: Shelf) -> bool:
    """Kill at one crossing and recover; whether the run came that far."""
    root = home / f"{number}" / "inbox"
    begin(root)
    assert ended(fork(lambda: sync(root, shelf))) == 0
    expected = work(root)
    status = ended(fork(lambda: sync(root, shelf, kill_at=number)))
    hold_to_receipts(shelf)
    assert ended(fork(lambda: sync(root, shelf))) == 0, f"no recovery from crossing {number}"
    wanted = {key: digest(content) for key, content in expected.items()}
    found = shelf.digests()
    assert found == wanted, f"crossing {number}: {found} instead of {wanted}"
    shutil.rmtree(root.parent)
    if status == 0:
        return False
    assert status == -signal.SIGKILL, f"crossing {number} ended with {status}"
    print(f"killed at crossing {number}", flush=True)
    return True


def begin(root: Path) -> None:
    """What is in sync before anything happens."""
    for name in ("keep.jpg", "change.jpg", "gone.jpg", "a/same.jpg", "a/old.jpg", "big.jpg"):
        write(root / name, f"first {name}".encode())


def work(root: Path) -> dict[str, bytes]:
    """One of every kind of change; what the dataset must hold afterwards."""
    write(root / "change.jpg", b"second change.jpg")
    (root / "gone.jpg").unlink()
    (root / "a" / "old.jpg").rename(root / "a" / "new.jpg")
    write(root / "a" / "b" / "same.jpg", b"first a/b/same.jpg")
    write(root / "fresh.jpg", b"first fresh.jpg")
    write(root / "big.jpg", b"second big.jpg" * 20_000)
    return {
        "keep.jpg": b"first keep.jpg",
        "change.jpg": b"second change.jpg",
        "a/new.jpg": b"first a/old.jpg",
        "a/same.jpg": b"first a/same.jpg",
        "a/same~b.jpg": b"first a/b/same.jpg",
        "fresh.jpg": b"first fresh.jpg",
        "big.jpg": b"second big.jpg" * 20_000,
    }


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def fork(run: Callable[[], None]) -> int:
    """Run something in a process of its own; its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run()
            status = 0
        except BaseException as error:
            print(f"the child broke: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    return pid


def ended(pid: int) -> int:
    """The exit status of a child, or minus the signal that ended it."""
    _, waited = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(waited)


def sync(root: Path, shelf: Shelf, *, kill_at: int | None = None) -> None:
    """One whole sync as the daemon does it, removals too, until nothing is left to do."""
    if kill_at is not None:
        arm(kill_at)
    with Client(shelf.url, token=shelf.token) as client:
        target = Target(root=root, remote="hub", dataset=shelf.name, options=Options())
        with opened(target, client.remote, client.places.mirrors, removes=True) as mirror:
            bind(mirror)
            mirror.sweep()
            mirror.compare()
            while not over(mirror):
                mirror.turn(mirror.wait_for(1.0))


def arm(kill_at: int) -> None:
    crossings = itertools.count(1)

    def cross() -> None:
        if next(crossings) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in BOUNDARIES:
        setattr(owner, name, crossing(getattr(owner, name), cross))


def crossing(call: Callable[..., Any], cross: Callable[[], None]) -> Callable[..., Any]:
    def crossed(*args: Any, **kwargs: Any) -> Any:
        cross()
        result = call(*args, **kwargs)
        cross()
        return result

    return crossed


def hold_to_receipts(shelf: Shelf) -> None:
    """Whatever a state file of this user calls stored is stored."""
    missing = shelf.missing(receipts(places().mirrors))
    assert not missing, f"called stored, but not there: {missing}"


def receipts(mirrors: Path) -> set[str]:
    """The digests that the state files below a folder call stored."""
    digests: set[str] = set()
    for file in mirrors.glob("*/state.db"):
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as sql:
            if sql.execute("SELECT name FROM sqlite_master WHERE name = 'files'").fetchone():
                rows = sql.execute("SELECT stored_digest FROM files WHERE item_id IS NOT NULL")
                digests |= {row[0] for row in rows}
    return digests


if __name__ == "__main__":
    sys.exit(main())
