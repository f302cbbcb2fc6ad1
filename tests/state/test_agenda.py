"""When rows are due: in what order, and what wakes them."""

from __future__ import annotations

from syncd.state import agenda
from syncd.state.agenda import Pending
from syncd.state.troubles import Trouble
from tests.state.test_store import STAT, seen, stored


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


def test_what_waits_is_weighed_where_it_is_little(state, monkeypatch):
    stored(state, "1.jpg")
    state.agenda.settle("1.jpg", 10)
    for name in ("2.jpg", "3.jpg"):
        seen(state, name, due=10)
    each = STAT[0]
    monkeypatch.setattr(agenda, "FEW", 3)
    assert state.agenda.pending() == Pending(files=3, first_ns=10, bytes=3 * each)
    state.files.miss("", ["1.jpg"], 20, 10)
    assert state.agenda.pending().bytes == 2 * each, "what is gone is not to be sent"
    seen(state, "4.jpg", due=9)
    assert state.agenda.pending() == Pending(files=4, first_ns=9, bytes=None)
    with state.agenda.parked():
        assert state.agenda.pending() == Pending(files=0, first_ns=None, bytes=0)


def test_what_is_parked_is_due_as_it_was(state):
    """Also where the run that had parked it was killed."""
    seen(state, "1.jpg", due=10)
    with state.agenda.parked():
        assert state.agenda.due(1 << 61, 9, (-1, "", "")) == []
        seen(state, "2.jpg", due=5)
        assert state.agenda.next_due() == 5
    assert state.agenda.pending() == Pending(files=2, first_ns=5, bytes=2 * STAT[0])
    killed = state.agenda.parked()
    killed.__enter__()
    state.agenda.wake_open(7)
    assert [row.due for row in state.agenda.due(10, 9, (-1, "", ""))] == [5, 10]
