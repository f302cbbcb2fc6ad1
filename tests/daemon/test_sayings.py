"""What `syncd watch` says: what was done since the last line, and what is yet to come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from syncd.daemon.sayings import Going, Sayings
from syncd.engine.report import Tally
from syncd.state.agenda import Pending


def waiting(files: int, bytes: int | None = None) -> Pending:
    return Pending(files=files, first_ns=5 if files else None, bytes=bytes)


class Clock:
    at = 0.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def mirror():
    agenda = SimpleNamespace(pending=lambda: waiting(0))
    troubles = SimpleNamespace(count=lambda: 0)
    return SimpleNamespace(
        guard=SimpleNamespace(closed=None),
        resting=None,
        done=True,
        tally=Tally(),
        clock=Clock(),
        sweeping=False,
        sidecars=SimpleNamespace(annotated=0),
        dataset=SimpleNamespace(info=SimpleNamespace(name="signs")),
        state=SimpleNamespace(agenda=agenda, troubles=troubles, meta={}),
    )


class Voice:
    """Keeps what it hears."""

    def __init__(self, *, terminal: bool) -> None:
        self.terminal = terminal
        self.said: list[str] = []
        self.shown: Going | None = None

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(text)

    def show(self, name: str, going: Going | None) -> bool:
        assert name == "signs"
        self.shown = going
        return self.terminal


def heard(voice: Voice, mirror: Any):
    sayings = Sayings(voice, mirror)

    def second(**counts: int) -> list[str]:
        for name, count in counts.items():
            setattr(mirror.tally, name, count)
        mirror.clock.at += 1.0
        voice.said.clear()
        sayings.tick()
        return list(voice.said)

    return second


@pytest.fixture
def lines(mirror: Any):
    return heard(Voice(terminal=False), mirror)


def test_what_was_done_is_said_once(lines):
    assert lines(uploaded=3, moved=1) == ["signs: 3 stored, 1 moved"]
    assert lines() == []
    assert lines(uploaded=4, removed=2) == ["signs: 1 stored, 2 removed"]


def test_while_there_is_more_rate_and_rest_are_said_too(lines, mirror):
    mirror.sweeping, mirror.done = True, False
    assert lines(uploaded=100, bytes=5 << 20) == ["signs: 100 stored, 5.0 MiB/s, scanning"]
    mirror.sweeping = False
    mirror.state.agenda.pending = lambda: waiting(1000)
    assert lines(uploaded=300, bytes=15 << 19) == [
        "signs: 200 stored, 2.5 MiB/s, 1000 to go, about 5 s"
    ]
    assert lines(moved=1) == ["signs: 1 moved"]
    assert lines(uploaded=301) == ["signs: 1 stored, 0.0 MiB/s, 1000 to go, about 1000 s"]
    mirror.resting = "it is night"
    assert lines(uploaded=302) == ["signs: 1 stored"], "what is held back is not to come"


def test_where_bars_are_seen_one_line_comes_at_the_end(mirror):
    voice = Voice(terminal=True)
    second = heard(voice, mirror)
    mirror.done, mirror.sweeping = False, True
    assert second(uploaded=10, bytes=4000, adopted=2) == []
    assert voice.shown == Going(done=12, left=None, bytes=4000, seconds=1.0)
    assert (voice.shown.rate, voice.shown.seconds_left) == (4000.0, None)
    mirror.sweeping = False
    mirror.state.agenda.pending = lambda: waiting(90)
    assert second(uploaded=28, bytes=9000) == []
    assert voice.shown == Going(done=30, left=90, bytes=9000, seconds=2.0)
    assert voice.shown.seconds_left == 6.0
    mirror.done = True
    assert second(uploaded=118) == ["signs: 118 stored"]
    assert voice.shown is None
    mirror.done = False
    assert second(uploaded=119) == []
    assert voice.shown == Going(done=1, left=90, bytes=0, seconds=1.0)


def test_one_big_file_has_its_time_by_the_bytes_that_left(mirror):
    voice = Voice(terminal=True)
    second = heard(voice, mirror)
    left = 300  # of a try that failed
    mirror.tally.leaving = lambda: left
    second()
    mirror.done = False
    mirror.state.agenda.pending = lambda: waiting(1, 1000)
    left = 500
    second()
    assert voice.shown == Going(done=0, left=1, bytes=200, seconds=1.0, bytes_left=800)
    assert (voice.shown.part, voice.shown.seconds_left) == (0.2, 4.0)
    left = 700
    second()
    assert (voice.shown.part, voice.shown.seconds_left) == (0.4, 3.0)


def test_a_pause_is_said_with_the_way_out(lines, mirror):
    mirror.guard.closed = "is not the folder it was"
    assert lines() == [
        "signs: paused, nothing is touched: is not the folder it was",
        "`syncd status` says how to go on",
    ]
    assert lines() == []
    mirror.guard.closed = None
    assert lines() == []


def test_removals_that_are_held_back_are_said_once(lines, mirror):
    mirror.state.meta["held"] = {"plan": "abc", "reason": "22 of 30 stored files are gone"}
    said = "signs: 22 of 30 stored files are gone; their items stay until `syncd approve abc`"
    assert lines() == [said]
    assert lines() == []
    mirror.state.meta["held"] = {"plan": "abd", "reason": "23 of 30 stored files are gone"}
    assert len(lines()) == 1
    mirror.state.meta.clear()
    assert lines() == []


def test_nothing_is_shown_where_nothing_is_to_come(mirror):
    voice = Voice(terminal=True)
    mirror.done = False  # a hint was heard, and came to nothing
    assert heard(voice, mirror)() == []
    assert voice.shown is None


def test_files_that_do_not_fit_are_counted(lines, mirror):
    mirror.state.troubles.count = lambda: 2
    assert lines() == ["signs: 2 files are not in sync: `syncd status` says why"]
    assert lines() == []
