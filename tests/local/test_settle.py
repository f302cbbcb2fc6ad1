"""The quiet periods: by example, and against any order of calls."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from syncd.local.settle import CALM, LONGEST, MOST, QUIET, Settle

ONE, OTHER = (1, 2, 3), (1, 2, 4)


def test_prompt_hints_are_due_at_once_others_after_two_seconds() -> None:
    settle = Settle()
    assert settle.next_due() is None
    settle.hint("slow", 10.0, prompt=False)
    settle.hint("fast", 10.0, prompt=True)
    assert settle.next_due() == 10.0
    assert settle.due(10.0) == ["fast"]
    assert settle.next_due() == 12.0
    assert settle.due(11.9) == []
    assert settle.due(12.0) == ["slow"]
    assert settle.next_due() is None


def test_repeated_hints_collapse_to_the_earliest() -> None:
    settle = Settle()
    for _ in range(100):
        settle.hint("x", 1.0, prompt=False)
    settle.hint("x", 1.5, prompt=True)
    settle.hint("x", 1.6, prompt=False)
    assert settle.due(100.0) == ["x"]
    assert settle.due(100.0) == []


def test_an_earlier_time_that_no_longer_holds_is_passed_over() -> None:
    settle = Settle()
    settle.hint("x", 0.0, prompt=False)
    settle.hint("x", 0.5, prompt=True)
    assert settle.due(0.5) == ["x"]
    settle.hint("x", 1.0, prompt=False)
    assert settle.due(2.5) == []
    assert settle.next_due() == 3.0
    assert settle.due(3.0) == ["x"]


def test_a_file_that_changes_all_the_time_is_sent_ever_more_rarely() -> None:
    settle, now, sent = Settle(), 0.0, []
    while now < 1000:
        settle.hint("x", now, prompt=True)
        if settle.due(now):
            settle.sent("x", now)
            sent.append(now)
        now += 0.5
    gaps = [b - a for a, b in pairwise(sent)]
    assert gaps[:6] == [2, 4, 8, 16, 32, 60]
    assert set(gaps[6:]) == {LONGEST}
    calm = sent[-1] + LONGEST * CALM
    settle.due(calm)
    settle.hint("x", calm, prompt=True)
    assert settle.due(calm) == ["x"]


def test_two_equal_looks_settle_a_file() -> None:
    settle = Settle()
    assert not settle.look("x", ONE, 0.0)
    settle.unsettled("x", ONE, 0.0)
    assert settle.next_due() == 2.0
    assert not settle.look("x", ONE, 1.0)
    assert settle.look("x", ONE, 2.0)
    assert not settle.look("x", OTHER, 2.0)
    assert not settle.look("x", OTHER, 3.9)
    settle.unsettled("x", OTHER, 3.9)
    assert settle.look("x", OTHER, 4.0)
    settle.sent("x", 4.0)
    assert not settle.look("x", OTHER, 9.0)


def test_a_close_ends_the_wait_of_an_unsettled_file() -> None:
    settle = Settle()
    settle.unsettled("x", ONE, 0.0)
    settle.hint("x", 0.5, prompt=True)
    assert settle.due(0.5) == ["x"]
    assert settle.due(10.0) == []


@pytest.mark.parametrize("some_sent", [True, False])
def test_memory_is_bounded_by_what_is_not_calm(some_sent: bool) -> None:
    settle = Settle()
    for number in range(50_000):
        now = number / 100
        settle.hint(f"{number}", now, prompt=True)
        assert settle.due(now) == [f"{number}"]
        if number % 2 and some_sent:
            settle.sent(f"{number}", now)
        else:
            settle.unsettled(f"{number}", ONE, now)
            settle.due(now + QUIET)
    alive = QUIET * CALM * 100
    assert len(settle._sent) + len(settle._looks) < 3 * alive
    assert len(settle._queue) < 3 * alive


class Life(RuleBasedStateMachine):
    """Any order of calls: what was hinted comes out, in time, and never during its quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.settle = Settle()
        self.now = 0.0
        self.waiting: dict[str, float] = {}
        self.last_sent: dict[str, float] = {}

    paths = st.sampled_from(["a", "b", "c"])

    @rule(path=paths, prompt=st.booleans())
    def hint(self, path: str, prompt: bool) -> None:
        self.settle.hint(path, self.now, prompt=prompt)
        self.waiting.setdefault(path, self.now)

    @rule(path=paths, stat=st.sampled_from([ONE, OTHER]))
    def unsettled(self, path: str, stat: tuple[int, int, int]) -> None:
        self.settle.unsettled(path, stat, self.now)
        self.waiting.setdefault(path, self.now)

    @rule(path=paths)
    def sent(self, path: str) -> None:
        if path not in self.waiting:
            self.settle.sent(path, self.now)
            self.last_sent[path] = self.now

    # Sums of these are exact: with others a quiet period may look a trifle too short.
    @rule(seconds=st.sampled_from([0.0, 0.125, 1.875, 2.0, 5.0, 61.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def due(self) -> None:
        for path in self.settle.due(self.now):
            assert self.waiting.pop(path) <= self.now
            assert self.now - self.last_sent.get(path, -9) >= QUIET

    @invariant()
    def everything_that_waits_will_be_due_within_the_longest_quiet(self) -> None:
        next_due = self.settle.next_due()
        assert (next_due is None) == (not self.waiting)
        assert next_due is None or next_due <= self.now + LONGEST
        assert len(self.settle) == len(self.waiting)


TestLife = Life.TestCase


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 50), st.booleans()), max_size=40))
def test_due_paths_come_once_and_in_order(hints: list[tuple[str, float, bool]]) -> None:
    settle = Settle()
    earliest: dict[str, float] = {}
    for path, now, prompt in hints:
        settle.hint(path, now, prompt=prompt)
        at = now if prompt else now + QUIET
        earliest[path] = min(at, earliest.get(path, at))
    found = settle.due(1000.0)
    assert sorted(found) == sorted(earliest)
    assert [earliest[path] for path in found] == sorted(earliest.values())


def test_a_whole_tree_that_arrives_is_not_remembered_whole() -> None:
    settle = Settle()
    for n in range(5 * MOST):
        settle.sent(f"{n}.jpg", now=n / 10_000)
        assert len(settle._sent) < 2 * MOST
    settle.hint("0.jpg", 10.0, prompt=True)
    settle.hint(f"{5 * MOST - 1}.jpg", 10.0, prompt=True)
    assert settle.due(10.0) == ["0.jpg"]
    assert settle.due(10.2) == [f"{5 * MOST - 1}.jpg"]
