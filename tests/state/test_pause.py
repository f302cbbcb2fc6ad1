"""A pause as a person is told of it, and when it is over."""

from __future__ import annotations

from datetime import datetime

import pytest

from syncd.state.pause import lasting, pause, resume
from syncd.state.store import State

SECOND = 1_000_000_000
NOW = int(datetime(2024, 5, 3, 20, 58).timestamp()) * SECOND


@pytest.fixture
def meta():
    state = State(None)
    yield state.meta
    state.close()


@pytest.mark.parametrize(
    ("seconds", "until"),
    [
        ("", "syncd resume"),
        ("3600", "21:58, or until syncd resume"),
        ("14400.0", "2024-05-04 00:58, or until syncd resume"),
    ],
)
def test_what_is_said_names_the_end(meta, seconds, until):
    sentence = f"paused until {until}; what changes is noted"
    assert pause(meta, NOW, seconds) == sentence
    assert lasting(meta.get("paused"), NOW) == sentence


def test_a_pause_is_over_when_its_time_is_and_also_for_whoever_resumes(meta):
    pause(meta, NOW, "10")
    assert lasting(meta.get("paused"), NOW + 9 * SECOND)
    assert lasting(meta.get("paused"), NOW + 10 * SECOND) is None
    assert resume(meta, NOW + 10 * SECOND) == "is not paused"


def test_only_what_was_paused_is_resumed(meta):
    assert resume(meta, NOW) == "is not paused"
    pause(meta, NOW)
    assert resume(meta, NOW, ", at last") == "resumed, at last"
    assert resume(meta, NOW) == "is not paused"
