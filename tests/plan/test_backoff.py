"""How long to wait after which error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd import errors
from syncd.errors import TransientError
from syncd.plan.backoff import delay


@pytest.mark.parametrize(
    ("kind", "waits", "most"),
    [
        (errors.TransientError, [1, 2, 4], 300),
        (errors.GarbledError, [1, 2, 4], 300),
        (errors.ConflictError, [1, 2, 4], 60),
        (errors.MissingError, [1, 2, 4], 60),
        (errors.UnsettledError, [2, 4, 8], 60),
        (errors.UnreadableError, [30, 60, 120], 3600),
    ],
)
def test_the_wait_doubles_up_to_its_maximum(kind, waits, most):
    assert [delay(kind("x"), tries, 0) for tries in (1, 2, 3)] == waits
    assert delay(kind("x"), 0, 0) == waits[0]
    assert delay(kind("x"), 10_000, 0) == most


@pytest.mark.parametrize(
    "kind",
    [
        errors.RejectedError, errors.NameRefusedError, errors.DeniedError, errors.VanishedError,
        errors.StateError, errors.UsageError,
    ],
)  # fmt: skip
def test_what_time_does_not_mend_waits_for_a_change(kind):
    assert delay(kind("x"), 1, 0.5) is None


@pytest.mark.parametrize(
    ("asked", "tries", "wait"),
    [(7, 1, 7), (0, 1, 1), (7, 20, 300), (500, 20, 500), (1e9, 1, 3600), (-5, 1, 1),
     (float("nan"), 1, 1), (float("inf"), 1, 3600)],
)  # fmt: skip
def test_what_the_remote_asks_for_is_honoured_where_it_is_longer(asked, tries, wait):
    assert delay(TransientError("x", retry_after=asked), tries, 0) == wait


@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1000))
def test_jitter_only_adds_and_at_most_a_quarter(tries, jitter, asked):
    error = TransientError("x", retry_after=asked)
    least = delay(error, tries, 0)
    assert least is not None
    assert least <= (delay(error, tries, jitter) or 0) <= least * 1.25
