"""The history: written with the receipts, newest first, and never more than it may be."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from syncd.state import history
from syncd.state.folder import FILE
from syncd.state.history import DAY_NS, deeds
from syncd.state.store import State

NOW = 1_000 * DAY_NS


@pytest.fixture
def state(tmp_path):
    made = State(tmp_path)
    yield made
    made.close()


def read(folder, below="", since=0, limit=100):
    with closing(sqlite3.connect(folder / FILE)) as sql:
        return [(deed.path, deed.verb) for deed in deeds(sql, below, since, limit)]


def test_a_deed_is_there_once_its_turn_is_committed(state, tmp_path):
    state.commit()
    state.history.note(NOW, "a/1.jpg", "stored", "new file")
    assert read(tmp_path) == []
    state.commit()
    assert read(tmp_path) == [("a/1.jpg", "stored")]


def test_a_deed_goes_with_the_receipts_of_its_turn_when_that_is_lost(state, tmp_path):
    state.meta.put(name="something of the same turn")
    state.history.note(NOW, "a/1.jpg", "stored", "new file")
    state.history.flush()
    state._sql.rollback()
    state.commit()
    assert read(tmp_path) == []


def test_the_newest_comes_first_of_a_path_or_a_folder(state, tmp_path):
    for number, path in enumerate(["a/1.jpg", "a/b/2.jpg", "ab/3.jpg", "a/1.jpg", "a%.jpg"]):
        state.history.note(NOW + number, path, f"deed {number}", "")
    state.commit()
    assert read(tmp_path, "a/1.jpg") == [("a/1.jpg", "deed 3"), ("a/1.jpg", "deed 0")]
    assert [path for path, _ in read(tmp_path, "a")] == ["a/1.jpg", "a/b/2.jpg", "a/1.jpg"]
    assert len(read(tmp_path)) == 5
    assert read(tmp_path, since=NOW + 3) == [("a%.jpg", "deed 4"), ("a/1.jpg", "deed 3")]
    assert read(tmp_path, limit=1) == [("a%.jpg", "deed 4")]


def test_what_is_too_old_goes(state, tmp_path):
    state.history.note(NOW - 91 * DAY_NS, "old.jpg", "stored", "")
    state.history.note(NOW - 89 * DAY_NS, "young.jpg", "stored", "")
    state.commit()
    assert not state.history.drop(NOW)
    state.commit()
    assert read(tmp_path) == [("young.jpg", "stored")]


def test_what_is_too_much_goes_slice_by_slice(state, tmp_path, monkeypatch):
    monkeypatch.setattr(history, "SLICE", 10)
    for number in range(50):
        state.history.note(NOW, f"{number}.jpg", "stored", "")
    state.commit()
    slices = 0
    while state.history.drop(NOW, most=15):
        slices += 1
    state.commit()
    assert slices == 3
    assert [path for path, _ in read(tmp_path)] == [f"{n}.jpg" for n in range(49, 34, -1)]


def test_a_file_of_an_older_syncd_gets_its_history(tmp_path):
    state = State(tmp_path)
    state._sql.execute("DROP TABLE history")
    state._sql.execute("DELETE FROM _sqlite_migrations WHERE name = 'm002_history'")
    state._sql.execute("PRAGMA user_version = 1")
    state.close()
    for state in (State.snapshot(tmp_path), State(tmp_path)):
        state.history.note(NOW, "a.jpg", "stored", "")
        state.close()
    assert read(tmp_path) == [("a.jpg", "stored")]
