"""Kill the daemon at random moments: what `make soak` does a thousand times, thirty times."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import SEED
from tests.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thirty_kills_lose_nothing_and_double_nothing(tmp_path):
    soak(tmp_path, rounds=30, seed=SEED)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_at_every_fault_point_is_survived(home, hub, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.fault_points", tmp_path, hub.url, hub.token],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("killed at crossing") > 20, "the boundaries are not where they were"
