"""When rows are due: in what order, and what wakes them."""

from __future__ import annotations

from syncd.state.troubles import Trouble
from tests.state.test_store import seen, stored


def test_rows_are_due_in_order_and_behind_a_cursor(state):
    for number, path in enumerate(["b/2.jpg", "a/1.jpg", "c.jpg", "b/1.jpg"]):
        seen(state, path, due=10 + number // 3)
    rows = state.agenda.due(20, 10, (-1, "", ""))
    assert [row.path for row in rows] == ["c.jpg", "a/1.jpg", "b/2.jpg", "b/1.jpg"]
    assert [r.path for r in state.agenda.due(10, 10, (10, "a", "1.jpg"))] == ["b/2.jpg"]
    assert state.agenda.next_due() == 10
    assert state.agenda.next_due((10, "b", "2.jpg")) == 11
    assert state.agenda.next_due((11, "b", "1.jpg")) is None
    assert state.agenda.due(9, 10, (-1, "", "")) == []


def test_waking_and_settling(state):
    stored(state, "1.jpg")
    seen(state, "2.jpg")
    state.agenda.settle("2.jpg")
    assert state.agenda.next_due() is None
    state.agenda.wake_open(5)
    assert [r.path for r in state.agenda.due(5, 9, (-1, "", ""))] == ["2.jpg"]
    state.troubles.note(Trouble(path="2.jpg", kind="conflict", reason="why"))
    state.agenda.wake_open(6)
    assert state.agenda.next_due() is None
    state.agenda.wake_troubled(7)
    assert state.agenda.next_due() == 7
    state.agenda.hurry(3, 5)
    assert state.agenda.next_due() == 3
    state.agenda.shift(-2)
    assert state.agenda.next_due() == 1
    state.files.miss("", ["1.jpg"], 20, None)
    state.agenda.wake_gone(0)
    assert state.agenda.next_due() == 0
    state.agenda.settle_gone(19)
    assert state.agenda.next_due() == 1


def test_what_is_parked_is_due_as_it_was(state):
    """Also where the run that had parked it was killed."""
    seen(state, "1.jpg", due=10)
    with state.agenda.parked():
        assert state.agenda.due(1 << 61, 9, (-1, "", "")) == []
        seen(state, "2.jpg", due=5)
        assert state.agenda.next_due() == 5
    assert state.agenda.pending() == (2, 5)
    killed = state.agenda.parked()
    killed.__enter__()
    state.agenda.wake_open(7)
    assert [row.due for row in state.agenda.due(10, 9, (-1, "", ""))] == [5, 10]
