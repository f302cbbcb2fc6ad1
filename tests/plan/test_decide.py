"""The whole decision table, and the document that prints it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.model import Item, ItemState, Local, OnDelete, Policy, Receipt, Triple, Verb
from syncd.plan.decide import decide, movable, relocate
from syncd.plan.table import ELSEWHERE, KEY, cases, markdown
from tests.plan.strategies import every_policy

DOCUMENT = Path(__file__).parents[2] / "docs" / "semantics.md"
BEGIN, END = "<!-- decision table: begin -->\n", "<!-- decision table: end -->"

CASES = list(cases())
ROWS = [
    (replace(case.triple, key=key), policy)
    for case in CASES
    for key in (KEY, ELSEWHERE)
    for policy in every_policy()
]


def test_the_document_holds_the_table():
    """To mend it: put the output of `syncd.plan.table.markdown()` between the markers."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == markdown()


def test_every_row_has_a_line_in_the_document():
    lines = {tuple(line.split(" | ")[-2:]) for line in markdown().splitlines()}
    missing = set()
    for triple, policy in ROWS:
        action = decide(triple, policy)
        if (action.verb.value, action.reason + " |") not in lines:
            missing.add((action.verb.value, action.reason))
    assert missing == set()


def test_every_verb_is_needed():
    assert {decide(*row).verb for row in ROWS} == set(Verb)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.here}, {c.before}, {c.there}")
def test_every_row_keeps_the_promises(case):
    for key in (KEY, ELSEWHERE):
        for policy in every_policy():
            check_promises(replace(case.triple, key=key), policy)


def check_promises(triple, policy):
    action = decide(triple, policy)
    assert action.path == triple.path
    assert action.triple == triple
    assert action.reason
    assert action.key in (triple.key, triple.remote.key if triple.remote else triple.key)
    check = globals()[f"check_{action.verb.value}"]
    check(action, triple.local, triple.remote, triple.receipt, policy)


def agreed(remote, receipt):
    """The very item that was stored, present and with the content that was stored."""
    if remote is None or receipt is None or remote.state is not ItemState.PRESENT:
        return False
    unchanged = remote.digest is None and remote.version in (None, receipt.version)
    return remote.id == receipt.id and (remote.digest == receipt.digest or unchanged)


def check_remove(action, local, remote, receipt, policy):
    assert local is None
    assert agreed(remote, receipt)
    assert action.key == remote.key
    allowed = {OnDelete.TRASH: policy.can_trash, OnDelete.DELETE: policy.can_remove}
    assert allowed.get(policy.on_delete)


def check_replace(action, local, remote, receipt, policy):
    assert local.digest not in (None, receipt.digest)
    assert agreed(remote, receipt)
    assert policy.can_replace
    assert action.key == remote.key


def check_move(action, local, remote, receipt, policy):
    assert local.digest == receipt.digest
    assert agreed(remote, receipt)
    assert policy.can_move
    assert action.key == action.triple.key != remote.key


def check_adopt(action, local, remote, receipt, policy):
    assert remote.state is ItemState.PRESENT
    assert local.digest is not None
    assert local.digest == remote.digest


def check_nothing(action, local, remote, receipt, policy):
    assert agreed(remote, receipt)
    assert local.digest == receipt.digest
    assert action.key == receipt.key == remote.key


def check_put(action, local, remote, receipt, policy):
    assert local
    if remote and remote.state is ItemState.PRESENT:
        assert action.key != remote.key
        assert not policy.can_move


def check_forget(action, local, remote, receipt, policy):
    assert local is None


def check_hold(action, local, remote, receipt, policy):
    assert local
    assert remote.state is not ItemState.PRESENT
    assert not remote.by.startswith("mirror:")


def check_conflict(action, local, remote, receipt, policy):
    assert not remote.by.startswith("mirror:")
    assert not (agreed(remote, receipt) and local and local.digest == receipt.digest)


def check_read(action, local, remote, receipt, policy):
    assert local
    assert local.digest is None


A, B, C = "a" * 64, "b" * 64, "c" * 64
RECEIPT = Receipt(key=KEY, id="i", version=1, digest=A)
ITEM = Item(key=KEY, id="i", version=1, digest=A)


def triple(content=A, remote=ITEM, receipt=RECEIPT, key=KEY):
    local = Local(stat=(1, 1, 1), digest=content) if content else None
    return Triple(path=KEY, key=key, local=local, remote=remote, receipt=receipt)


def test_an_item_renamed_at_the_remote_keeps_its_new_name_when_the_file_changes():
    renamed = replace(ITEM, key=ELSEWHERE, version=2)
    assert decide(triple(B, renamed), Policy()).key == ELSEWHERE
    assert decide(triple(A, renamed), Policy()).key == ELSEWHERE
    assert decide(triple(B, replace(renamed, digest=B)), Policy()).key == ELSEWHERE


def test_a_new_version_does_not_undo_a_change_of_layout():
    newer = replace(ITEM, version=2)
    assert decide(triple(A, newer, key=ELSEWHERE), Policy()).key == ELSEWHERE
    assert decide(triple(B, replace(newer, digest=B), key=ELSEWHERE), Policy()).key == ELSEWHERE


def test_a_version_given_out_twice_is_no_proof():
    again = replace(ITEM, digest=C)
    for content in (None, A, B):
        assert decide(triple(content, again), Policy()).verb is Verb.CONFLICT


ORIGIN = triple(None)


def test_a_file_that_moved_takes_its_item_along():
    arrived = replace(triple(A, None, None, ELSEWHERE), path=ELSEWHERE)
    action = relocate(arrived, ORIGIN, Policy())
    assert (action.verb, action.path, action.key) == (Verb.MOVE, ELSEWHERE, ELSEWHERE)
    assert action.reason == f"moved from {KEY}"
    assert (action.triple, action.origin) == (arrived, ORIGIN)


def test_it_does_so_where_its_new_name_was_trashed_once():
    trashed = replace(ITEM, id="x", state=ItemState.TRASHED)
    assert relocate(triple(A, trashed, None), ORIGIN, Policy()).verb is Verb.MOVE


def test_it_does_not_where_something_is_in_the_way():
    there = replace(ITEM, id="x", key=ELSEWHERE)
    assert relocate(triple(A, there, None, ELSEWHERE), ORIGIN, Policy()).verb is Verb.ADOPT
    assert relocate(triple(B, there, None, ELSEWHERE), ORIGIN, Policy()).verb is Verb.CONFLICT


@pytest.mark.parametrize(
    ("origin", "policy"),
    [
        (ORIGIN, Policy(can_move=False)),
        (triple(None, None), Policy()),
        (triple(None, ITEM, None), Policy()),
        (triple(None, replace(ITEM, state=ItemState.TRASHED)), Policy()),
        (triple(None, replace(ITEM, id="x")), Policy()),
        (triple(None, replace(ITEM, version=2, digest=B)), Policy()),
    ],
)
def test_an_item_that_is_not_as_it_was_stored_stays(origin, policy):
    assert not movable(origin, policy)
    action = relocate(triple(A, None, None), origin, policy)
    assert (action.verb, action.origin) == (Verb.PUT, None)
