"""What the remote holds beside the receipts, who hears of it, and why rows are not in sync."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.model import Item, ItemState, Receipt
from syncd.state import overlay
from syncd.state.store import State
from syncd.state.troubles import Trouble

STAT = (3, 1_000, 11)
DIGEST = "a" * 64


@pytest.fixture
def state():
    made = State(None)
    yield made
    made.close()


def item(id="i1", key="1.jpg", **more):
    return Item(**{"key": key, "id": id, "version": 1, "digest": DIGEST, "size": 3} | more)


def row(state, path, key=None, id=None):
    state.files.see("", {path: STAT}, 0)
    state.names.place([(path, key)])
    if id:
        receipt = Receipt(key=key or path, id=id, version=1, digest=DIGEST, stored_ns=5)
        state.receipts.own(path, receipt)
    state.agenda.settle(path)


def due(state):
    return {r.path for r in state.agenda.due(100, 100, (-1, "", ""))}


def test_what_is_learned_is_known_by_id_and_by_key(state):
    assert state.overlay.empty()
    state.overlay.learn([item(), item("i2", "2.jpg", state=ItemState.TRASHED, by="ann")], 7)
    assert state.overlay.of(["i1", "i2", "i3"]) == {
        "i1": item(),
        "i2": item("i2", "2.jpg", state=ItemState.TRASHED, by="ann"),
    }
    assert state.overlay.at(["1.jpg", "3.jpg"]) == {"1.jpg": item()}
    assert not state.overlay.empty()


def test_a_present_item_comes_before_a_tombstone(state):
    state.overlay.learn([item("i9", state=ItemState.TRASHED), item("i1")], 7)
    assert state.overlay.at(["1.jpg"])["1.jpg"].id == "i1"


def test_who_is_concerned_becomes_due(state):
    row(state, "owner.jpg", id="i1")
    row(state, "waits.jpg", key="1.jpg")
    row(state, "torn.jpg")
    row(state, "other.jpg", key="other.jpg", id="i5")
    state.troubles.note(Trouble(path="torn.jpg", kind="conflict", reason="why", key="1.jpg"))
    state.overlay.learn([item()], 7)
    assert due(state) == {"owner.jpg", "waits.jpg", "torn.jpg"}


def test_whoever_waited_under_the_old_key_hears_of_a_rename(state):
    row(state, "waits.jpg", key="1.jpg")
    state.overlay.learn([item()], 7)
    state.agenda.settle("waits.jpg")
    state.overlay.learn([item(key="2.jpg", version=2)], 8)
    assert due(state) == {"waits.jpg"}


def test_what_is_no_news_wakes_nobody(state):
    row(state, "waits.jpg", key="1.jpg")
    state.overlay.learn([item()], 7)
    state.agenda.settle("waits.jpg")
    state.overlay.learn([replace(item(), content_type="image/jpeg", metadata={"a": 1})], 8)
    assert due(state) == set()


def test_what_is_forgotten_wakes_whom_it_concerned(state):
    row(state, "waits.jpg", key="1.jpg")
    state.overlay.learn([item()], 7)
    state.agenda.settle("waits.jpg")
    state.overlay.forget(["i2"], 8)
    assert due(state) == set()
    state.overlay.forget(["i1"], 8)
    assert due(state) == {"waits.jpg"}
    assert state.overlay.empty()


def test_proven_absent(state):
    row(state, "1.jpg", key="1.jpg", id="i1")
    state.overlay.absent(state.files.row("1.jpg").receipt, 7)
    assert state.overlay.of(["i1"]) == {"i1": None}
    assert state.overlay.at(["1.jpg"]) == {}
    assert due(state) == {"1.jpg"}


def test_a_listing_shows_what_is_nowhere(state):
    row(state, "1.jpg", key="1.jpg", id="i1")
    row(state, "2.jpg", key="2.jpg", id="i2")
    state.overlay.learn([item("i3", "3.jpg"), item("i4", "4.jpg")], 0)
    state.listing.begin()
    state.listing.add(["i1", "i3"])
    assert [receipt.id for receipt in state.listing.missing(6, 9)] == ["i2"]
    assert state.listing.missing(5, 9) == []  # stored since the listing began
    assert [receipt.id for receipt in state.listing.missing(1, 4)] == ["i2"]
    assert state.listing.strangers() == ["i4"]
    state.listing.begin()
    assert {receipt.id for receipt in state.listing.missing(6, 9)} == {"i1", "i2"}


def test_what_protects_nothing_is_dropped_the_oldest_first(state, monkeypatch):
    monkeypatch.setattr(overlay, "SLICE", 2)
    row(state, "mine.jpg", key="mine.jpg", id="i1")
    row(state, "held.jpg", key="held.jpg")
    row(state, "beside.jpg")
    state.troubles.note(
        Trouble(path="beside.jpg", kind="held", reason="one", key="other.jpg", tries=1, since_ns=5,
                retry_ns=None)
    )  # fmt: skip
    gone = [("i1", "mine.jpg"), ("i2", "held.jpg"), ("i3", "other.jpg")]
    gone += [(f"i{n}", f"{n}.jpg") for n in range(4, 9)]
    items = [item(id, key, state=ItemState.TRASHED, by="ann") for id, key in gone]
    purged = replace(items[-1], state=ItemState.PURGED)
    state.overlay.learn([*items[:-1], purged, item("i9", "there.jpg")], 7)

    def left():
        return sorted(state.overlay.of([f"i{n}" for n in range(1, 10)]))

    assert not state.overlay.drop(8)
    assert len(left()) == 9, "so many may stay"
    assert state.overlay.drop(4), "there is more to drop"
    assert left() == ["i1", "i2", "i3", "i6", "i7", "i8", "i9"]
    while state.overlay.drop(0):
        pass
    assert left() == ["i1", "i2", "i3", "i9"], "who has a receipt, a key, a trouble; who is present"


def test_an_absent_item_is_forgotten_with_its_receipt(state):
    row(state, "1.jpg", key="1.jpg", id="i1")
    state.overlay.absent(state.files.row("1.jpg").receipt, 7)
    state.overlay.drop()
    assert state.overlay.of(["i1"]) == {"i1": None}
    state.receipts.disown("1.jpg")
    state.overlay.drop()
    assert state.overlay.empty()


def test_troubles_are_kept_counted_and_cleared(state):
    row(state, "a.jpg")
    row(state, "b.jpg")
    first = Trouble(path="b.jpg", kind="failed", reason="one", tries=1, since_ns=5, retry_ns=9)
    state.troubles.note(first)
    state.troubles.note(replace(first, reason="two", tries=2, since_ns=7, retry_ns=None))
    state.troubles.note(Trouble(path="a.jpg", kind="held", reason="why"))
    state.troubles.note(Trouble(path="unknown.jpg", kind="held", reason="why"))
    assert [t.path for t in state.troubles.all()] == ["a.jpg", "b.jpg"]
    assert state.troubles.all()[1] == replace(first, reason="two", tries=2, retry_ns=None)
    assert state.files.row("b.jpg").due is None
    assert (state.troubles.tries("b.jpg"), state.troubles.tries("c.jpg")) == (2, 0)
    assert state.troubles.count() == 2
    state.troubles.clear("b.jpg")
    assert state.troubles.count() == 1
