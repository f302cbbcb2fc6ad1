"""Quantities as people write them, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config.quantity import DAY, duration, hours, rate, within
from syncd.errors import UsageError

MINUTES = st.integers(0, DAY - 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5 MB/s", 5e6), ("5MB", 5e6), ("800 kB/s", 8e5), ("1.5 MiB/s", 1.5 * 2**20),
        ("20 Mbit/s", 2.5e6), ("100mbps", 1e8), ("unlimited", None), ("500 B/s", 500.0),
    ],
)  # fmt: skip
def test_rates(text, value):
    assert rate(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("30s", 30), ("15 min", 900), ("15m", 900), ("2h", 7200), ("7d", 604_800)],
)
def test_times(text, value):
    assert duration(text) == value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (rate, "fast"), (rate, "0 MB/s"), (rate, "-5 MB/s"), (rate, "5 XB/s"), (rate, ""),
        (duration, "soon"), (duration, "-2h"), (duration, "9" * 400 + "w"), (duration, "9999w"),
        (hours, "22-6"), (hours, "25:00-06:00"), (hours, "22:00-06:60"), (hours, "22:00"),
    ],
)  # fmt: skip
def test_what_is_none_is_named(read, text):
    with pytest.raises(UsageError, match="write"):
        read(text)


def test_hours_may_run_over_midnight_and_be_several():
    spans = hours("22:00-06:00, 12:00-13:00")
    inside = [minute for minute in range(DAY) if within(spans, minute)]
    assert len(inside) == 9 * 60
    assert within(spans, 0)
    assert within(spans, 22 * 60)
    assert not within(spans, 6 * 60)
    assert within((), 700)
    assert all(within(hours("00:00-24:00"), minute) for minute in range(DAY))


@given(MINUTES, MINUTES, MINUTES)
def test_a_span_and_the_rest_of_the_day_share_no_minute(start, end, minute):
    if start != end:
        assert within([(start, end)], minute) != within([(end, start)], minute)
