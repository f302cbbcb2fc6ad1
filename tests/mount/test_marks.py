"""Marks against a plain set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.mount.marks import Marks

NUMBERS = st.sets(st.integers(0, 200_000), max_size=60)


@given(NUMBERS, NUMBERS)
def test_what_was_marked_is_marked_and_nothing_else(some, others):
    marks = Marks()
    marks.update(some)
    assert all(number in marks for number in some)
    assert not any(number in marks for number in others - some)
    for number in others:
        marks.add(number)
    assert all((number in marks) == (number in some | others) for number in range(0, 200_001, 7))
