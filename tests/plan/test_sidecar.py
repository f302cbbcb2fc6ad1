"""What a sidecar needs, over every combination; and what setting one comes to."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from syncd.plan.sidecar import Beside, Kind, Need, Picture, need, weigh

READY = Picture(item="i1", gone=False, pending=False)
COMING = Picture(item=None, gone=False, pending=True)
TROUBLED = Picture(item=None, gone=False, pending=False)
LEFT = Picture(item=None, gone=True, pending=False)
PICTURES = (None, READY, COMING, TROUBLED, LEFT)
OPERATIONS = st.sampled_from("abcd")
SAYS = st.dictionaries(OPERATIONS, st.integers(0, 2), max_size=4)


def beside(kind=Kind.SIDECAR, *, gone=False, item=None, current=False, brought=False):
    return Beside(gone=gone, kind=kind, item=item, current=current, brought=brought)


def every():
    flags = (False, True)
    for gone, kind, item, current, brought in product(flags, Kind, (None, "i1"), flags, flags):
        yield Beside(gone=gone, kind=kind, item=item, current=current, brought=brought)


def test_only_what_is_gone_or_none_any_more_takes_anything_away():
    for side, picture, owner, removes in product(every(), PICTURES, PICTURES, (False, True)):
        found = need(side, picture, owner, removes=removes)
        left = side.gone or side.kind is Kind.OTHER
        if found is Need.REMOVE:
            assert left
            assert side.brought
            assert removes
            assert owner is not None
            assert not owner.gone
        if found is Need.FORGET:
            assert left
        if found is Need.WEIGH:
            assert not side.gone
            assert picture is READY
            assert side.kind in (Kind.UNREAD, Kind.SIDECAR)
            assert not (side.current and side.item == READY.item)


def test_it_waits_for_a_picture_that_is_on_its_way():
    assert need(beside(Kind.UNREAD), COMING, None, removes=True) is Need.WAIT


def test_it_is_read_where_no_picture_comes_so_that_a_fault_in_it_is_told():
    for picture in (None, TROUBLED, LEFT):
        assert need(beside(Kind.UNREAD), picture, None, removes=True) is Need.READ
        assert need(beside(Kind.SIDECAR), picture, None, removes=True) is Need.WAIT


def test_what_is_set_is_done_until_the_picture_has_another_item():
    assert need(beside(item="i1", current=True), READY, None, removes=True) is Need.NOTHING
    assert need(beside(item="i0", current=True), READY, None, removes=True) is Need.WEIGH
    assert need(beside(item="i1"), READY, None, removes=True) is Need.WEIGH


def test_what_is_deleted_waits_for_what_becomes_of_its_picture():
    gone = beside(gone=True, item="i1", brought=True)
    assert need(gone, None, LEFT, removes=True) is Need.WAIT
    assert need(gone, None, None, removes=True) is Need.FORGET
    assert need(gone, None, READY, removes=True) is Need.REMOVE
    assert need(gone, None, READY, removes=False) is Need.FORGET


def carried_out(there, wanted, change):
    kept = {op: said for op, said in there.items() if op not in change.drop}
    return kept | {op: wanted[op] for op in change.send}


@given(SAYS, SAYS, st.sets(OPERATIONS), st.booleans())
def test_afterwards_all_it_says_is_there_and_nothing_of_others_is_lost(
    wanted, there, before, shown
):
    change = weigh(wanted, there, before, shown=shown)
    after = carried_out(there, wanted, change)
    assert {op: after[op] for op in wanted} == wanted
    assert {op: after.get(op) for op in there.keys() - wanted.keys() - before} == {
        op: there[op] for op in there.keys() - wanted.keys() - before
    }
    assert not before & (after.keys() - wanted.keys())
    again = weigh(wanted, after, change.brought, shown=shown)
    assert (again.send, again.drop, again.brought) == ((), (), change.brought)


@given(SAYS, st.sets(OPERATIONS))
def test_an_unchanged_copy_of_what_was_shown_brings_nothing_new(there, before):
    change = weigh(there, there, before, shown=True)
    assert change.send == ()
    assert set(change.brought) == before & there.keys()


@given(SAYS, SAYS)
def test_one_made_by_hand_brings_all_it_says(wanted, there):
    assert set(weigh(wanted, there, (), shown=False).brought) == set(wanted)
