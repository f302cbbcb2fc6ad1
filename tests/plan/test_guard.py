"""When removals wait for an approval, and the name of what is approved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.plan.guard import exceeds, fingerprint


@pytest.mark.parametrize(
    ("removals", "receipts", "waits"),
    [
        (0, 0, False), (10, 10, False), (11, 11, True), (11, 21, True), (11, 22, False),
        (50, 100, False), (51, 100, True), (1, 1, False),
    ],
)  # fmt: skip
def test_more_than_half_and_more_than_ten_wait(removals, receipts, waits):
    assert exceeds(removals, receipts) is waits


lines = st.lists(st.text(max_size=5))


@given(lines, lines)
def test_only_the_same_lines_have_the_same_name(one, two):
    assert (fingerprint(one) == fingerprint(iter(two))) == (one == two)


def test_a_line_feed_in_a_path_is_no_new_line():
    assert fingerprint(["a\nb"]) != fingerprint(["a", "b"])
    assert fingerprint(["a", "b"]) != fingerprint(["b", "a"])
    assert fingerprint(["ab"]) != fingerprint(["a", "b"])


def test_a_name_is_twelve_hex_digits_and_stays_the_same():
    assert fingerprint(["remove a", "caf\udce9"]) == fingerprint(["remove a", "caf\udce9"])
    assert len(fingerprint([])) == 12
    int(fingerprint(["x"]), 16)
