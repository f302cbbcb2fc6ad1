"""Kill the daemon at random moments: what `make soak` does a thousand times, thirty times."""

from __future__ import annotations

import pytest

from tests.conftest import SEED
from tests.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thirty_kills_lose_nothing_and_double_nothing(tmp_path):
    soak(tmp_path, rounds=30, seed=SEED)
