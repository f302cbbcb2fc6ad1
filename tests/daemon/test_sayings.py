"""The lines of `syncd watch`: what was done since the last one, and what is yet to come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from syncd.daemon.sayings import Sayings
from syncd.engine.report import Tally


class Clock:
    at = 0.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def mirror():
    agenda = SimpleNamespace(pending=lambda: (0, None))
    troubles = SimpleNamespace(count=lambda: 0)
    return SimpleNamespace(
        tally=Tally(),
        clock=Clock(),
        sweeping=False,
        sidecars=SimpleNamespace(annotated=0),
        dataset=SimpleNamespace(info=SimpleNamespace(name="signs")),
        state=SimpleNamespace(agenda=agenda, troubles=troubles),
    )


@pytest.fixture
def lines(mirror: Any):
    said: list[str] = []
    sayings = Sayings(said.append, mirror)

    def second(**counts: int) -> list[str]:
        for name, count in counts.items():
            setattr(mirror.tally, name, count)
        mirror.clock.at += 1.0
        said.clear()
        sayings.tick()
        return list(said)

    return second


def test_what_was_done_is_said_once(lines):
    assert lines(uploaded=3, moved=1) == ["signs: 3 stored, 1 moved"]
    assert lines() == []
    assert lines(uploaded=4, removed=2) == ["signs: 1 stored, 2 removed"]


def test_while_there_is_more_rate_and_rest_are_said_too(lines, mirror):
    mirror.sweeping = True
    assert lines(uploaded=100, bytes=5_000_000) == ["signs: 100 stored, 5.0 MB/s, scanning"]
    mirror.sweeping = False
    mirror.state.agenda.pending = lambda: (1000, 5)
    assert lines(uploaded=300, bytes=7_500_000) == [
        "signs: 200 stored, 2.5 MB/s, 1000 to go, about 5 s"
    ]
    assert lines(moved=1) == ["signs: 1 moved"]


def test_files_that_do_not_fit_are_counted(lines, mirror):
    mirror.state.troubles.count = lambda: 2
    assert lines() == ["signs: 2 files are not in sync: `syncd status` says why"]
    assert lines() == []
