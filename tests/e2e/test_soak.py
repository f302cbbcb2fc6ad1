"""Kill the daemon at random moments: what `make soak` does a thousand times, thirty times."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import SEED
from tests.soak import soak

CROSSED = (
    "State.commit", "Inside.read", "Workbench.run", "Clerk.run",
    "PUT-datasets", "GET-changes", "POST-missing", "POST-uploads", "PATCH-uploads", "POST-batch",
    "POST-annotations-read", "POST-annotations",
)  # fmt: skip
"""Every boundary that a watch has: the state file, the files, the jobs and the requests."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_thirty_kills_lose_nothing_and_double_nothing(tmp_path):
    """Of two folders at once, each with a hub of its own: half of a round is waiting."""
    with ThreadPoolExecutor(2) as pool:
        seeds = {f"soak-{number}": SEED + number for number in range(2)}
        begun = [pool.submit(soak, tmp_path / n, rounds=15, seed=s) for n, s in seeds.items()]
        for one in begun:
            one.result()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kill_at_every_fault_point_is_survived(home, hub, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.fault_points", tmp_path, hub.url, hub.token],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    killed = {
        tuple(line.split()[1:3]) for line in done.stdout.splitlines() if line.startswith("killed")
    }
    missed = {(side, name) for side in ("before", "after") for name in CROSSED} - killed
    assert not missed, "the boundaries are not where they were"
