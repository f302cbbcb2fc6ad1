"""The rows of sidecars: seen, missed, woken by their pictures, and in a file of an older syncd."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from syncd.model import Receipt
from syncd.state.store import State

STAT, OTHER = (10, 1, 5), (11, 2, 5)
RECEIPT = Receipt(key="a/1.jpg", id="i1", version=1, digest="d")


@pytest.fixture
def state(tmp_path):
    with closing(State(tmp_path)) as opened:
        yield opened


@pytest.fixture
def table(state):
    state.sidecars.see("a", {"1.jpg.json": STAT}, 7)
    return state.sidecars


def applied(table):
    row = table.at("a/1.jpg.json")
    table.keep(
        replace(row, digest="d1", kind="sidecar", item_id="i1", applied="d1", brought=("op",))
    )
    return table.at("a/1.jpg.json")


def test_an_older_file_gets_the_table(tmp_path):
    state = State(tmp_path)
    state._sql.execute("DROP TABLE sidecars")
    state._sql.execute("DELETE FROM _sqlite_migrations WHERE name = 'm003_sidecars'")
    state._sql.execute("PRAGMA user_version = 2")
    state.close()
    with closing(State.snapshot(tmp_path)) as twin, closing(State(tmp_path)) as again:
        assert not twin.sidecars.any
        assert not again.sidecars.any
        again.sidecars.see("", {"1.jpg.json": STAT}, 1)
        assert again.sidecars.observed("") == {"1.jpg.json": STAT}


def test_seen_as_it_was_it_stays_what_it_is(table):
    before = applied(table)
    table.see("a", {"1.jpg.json": STAT}, 9)
    assert table.at("a/1.jpg.json") == replace(before, due=9)
    table.see("a", {"1.jpg.json": OTHER}, 9)
    row = table.at("a/1.jpg.json")
    assert (row.digest, row.kind, row.applied, row.brought) == (None, "unread", "d1", ("op",))


def test_missed_it_is_kept_for_what_it_brought(table):
    table.miss("a", ["1.jpg.json"], 20, 22)
    assert table.at("a/1.jpg.json") is None
    table.see("a", {"1.jpg.json": STAT}, 7)
    applied(table)
    table.miss("a", ["1.jpg.json"], 20, 22)
    assert table.left(STAT).gone == 20
    assert table.observed("a") == {}
    assert list(table.below("")) == []


@pytest.mark.parametrize("reopened", [False, True])
def test_its_picture_wakes_it(tmp_path, reopened):
    state = State(tmp_path)
    state.sidecars.see("a", {"1.jpg.json": STAT}, 7)
    sidecar = state.sidecars.at("a/1.jpg.json")
    assert sidecar is not None
    state.sidecars.keep(replace(sidecar, due=None))
    state.files.see("a", {"1.jpg": STAT}, 7)
    if reopened:
        state.close()
        state = State(tmp_path)
    assert state.sidecars.wakes.next_due() is None
    state.receipts.agree([("a/1.jpg", STAT, RECEIPT)])
    assert state.sidecars.wakes.next_due() == 0
    state.close()


def test_what_is_gone_hears_what_becomes_of_its_item(state, table):
    state.files.see("a", {"1.jpg": STAT}, 7)
    state.receipts.agree([("a/1.jpg", STAT, RECEIPT)])
    applied(table)
    table.miss("a", ["1.jpg.json"], 20, None)
    assert table.wakes.next_due() is None
    state.files.forget(["a/1.jpg"])
    assert table.wakes.next_due() == 0


def test_a_folders_print_covers_it(state, table):
    for change in (
        lambda: table.see("a", {"1.jpg.json": OTHER}, 9),
        lambda: table.miss("a", ["1.jpg.json"], 20, None),
        lambda: table.see("a", {"2.jpg.json": STAT}, 9),
    ):
        state.folders.keep_print("a", "print")
        change()
        assert state.folders.print_of("a") is None
    state.folders.keep_print("a", "print")
    table.see("a", {"2.jpg.json": STAT}, 10)
    assert state.folders.print_of("a") == "print"


def test_another_dataset_knows_nothing_of_it(state, table):
    state.reset()
    assert table.at("a/1.jpg.json") is None


def test_where_the_remote_has_no_annotations_all_are_ignored(table):
    assert table.ignored(able=True) == 0
    assert table.ignored(able=False) == 1
    assert [trouble.path for trouble in table.troubles()] == ["a/1.jpg.json"]
