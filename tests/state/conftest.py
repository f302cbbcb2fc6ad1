"""A state file of each test's own."""

from __future__ import annotations

import pytest

from syncd.state.store import State


@pytest.fixture
def state(tmp_path):
    made = State(tmp_path)
    yield made
    made.close()
