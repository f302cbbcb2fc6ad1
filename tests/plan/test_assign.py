"""Collisions by example; whole histories of them are in test_world."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from syncd.errors import NameRefusedError
from syncd.model import Item, Layout, OnConflict, Policy
from syncd.plan.assign import Placed, Taken, Unread, assign, beside

KEEP = Policy(source="me")
SUFFIX = Policy(source="me", on_conflict=OnConflict.SUFFIX)
NIGHT, DAY = "stop/night/005.jpg", "stop/day/005.jpg"


@dataclass
class Known:
    """Who holds which key, and the digests of foreign items by key."""

    holders: dict[str, str] = field(default_factory=dict)
    items: dict[str, str | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def holder(self, key):
        return self.holders.get(key)

    def item(self, key):
        self.asked.append(key)
        if key not in self.items:
            return None
        return Item(key=key, id=key, digest=self.items[key])

    def stored(self, digest, before, after):
        return [
            key
            for key, held in self.items.items()
            if held == digest and key.startswith(before) and key.endswith(after)
        ]


def asked(path, digest, policy, known):
    """As the engine asks, for a path that is the last one without a key."""
    found = assign(path, digest, policy, known)
    return beside(found, digest, policy, known) if isinstance(found, Taken) else found


def key(path, digest, policy, **known):
    found = asked(path, digest, policy, Known(**known))
    assert isinstance(found, Placed)
    assert found.path == path
    return found.key


def test_the_first_gets_the_name():
    assert key(NIGHT, None, KEEP) == "stop/005.jpg"


def test_the_next_one_gets_a_name_that_carries_its_folder():
    held = {"stop/005.jpg": DAY}
    assert key(NIGHT, None, KEEP, holders=held) == "stop/005~night.jpg"


def test_also_where_a_file_of_that_very_name_is_there():
    held = {"stop/005.jpg": DAY, "stop/005~night.jpg": "stop/005~night.jpg"}
    assert key(NIGHT, None, KEEP, holders=held) == "stop/005~night~2.jpg"


def test_a_key_that_is_held_already_is_kept():
    held = {"stop/005.jpg": DAY, "stop/005~night.jpg": NIGHT}
    assert key(NIGHT, None, KEEP, holders=held) == "stop/005~night.jpg"


def test_nothing_is_compared_before_the_file_was_read():
    known = Known(items={"stop/005.jpg": "a"})
    assert assign(NIGHT, None, KEEP, known) == Unread(path=NIGHT)


def test_an_item_with_the_same_content_is_adopted():
    assert key(NIGHT, "a", KEEP, items={"stop/005.jpg": "a"}) == "stop/005.jpg"
    items: dict[str, str | None] = {"stop/005.jpg": "x", "stop/005~night.jpg": "a"}
    assert key(NIGHT, "a", KEEP, items=items) == "stop/005~night.jpg"
    items["stop/005~night.jpg"], items["stop/005~night~2.jpg"] = None, "a"
    assert key(NIGHT, "a", KEEP, items=items) == "stop/005~night~2.jpg"


@pytest.mark.parametrize("base", [{"stop/005.jpg": "a"}, {}])
def test_the_name_with_the_own_folder_is_preferred(base):
    items = base | {"stop/005~night.jpg": "a"}
    assert key(NIGHT, "a", KEEP, items=items) == "stop/005~night.jpg"
    assert key(DAY, "a", KEEP, items=items) == "stop/005.jpg"


def test_a_tree_has_no_such_names_and_takes_the_first():
    tree = Policy(layout=Layout.TREE)
    assert key("005.jpg", "a", tree, items={"005.jpg": "a", "005~2.jpg": "a"}) == "005.jpg"
    assert key("005.jpg", "a", tree, items={"005~2.jpg": "a"}) == "005.jpg"


def test_a_name_taken_by_other_content_is_told():
    for digest in ("x", None):
        known = Known(items={"stop/005.jpg": digest})
        found = asked(NIGHT, "a", KEEP, known)
        assert isinstance(found, Taken)
        assert (found.path, found.key, found.item.id) == (NIGHT, "stop/005.jpg", "stop/005.jpg")


def test_it_is_not_told_where_a_sibling_has_it():
    held, items = {"stop/005.jpg": DAY}, {"stop/005~night.jpg": "x"}
    assert key(NIGHT, "a", KEEP, holders=held, items=items) == "stop/005~night~2.jpg"


def test_with_suffix_it_is_stored_beside():
    items = {"stop/005.jpg": "x"}
    assert key(NIGHT, "a", SUFFIX, items=items) == "stop/005~me.jpg"
    items["stop/005~me.jpg"] = "y"
    assert key(NIGHT, "a", SUFFIX, items=items) == "stop/005~night~me.jpg"
    items["stop/005~night~me.jpg"] = "z"
    assert key(NIGHT, "a", SUFFIX, items=items) == "stop/005~night~me~2.jpg"
    items["stop/005~night~me.jpg"] = "a"
    assert key(NIGHT, "a", SUFFIX, items=items) == "stop/005~night~me.jpg"


@pytest.mark.parametrize("policy", [KEEP, SUFFIX])
def test_what_was_stored_beside_is_found_by_its_content(policy):
    items: dict[str, str | None] = {
        "stop/005.jpg": "x",
        "stop/005~me.jpg": "y",
        "stop/005~cam2.jpg": "a",
    }
    assert key(NIGHT, "a", policy, items=items) == "stop/005~cam2.jpg"
    items["stop/005~me.jpg"] = "a"
    assert key(NIGHT, "a", policy, items=items) == "stop/005~me.jpg", "its own name comes first"


def test_of_several_that_were_stored_beside_none_is_taken():
    items: dict[str, str | None] = {
        "stop/005.jpg": "x",
        "stop/005~cam1.jpg": "a",
        "stop/005~cam2.jpg": "a",
    }
    assert isinstance(asked(NIGHT, "a", KEEP, Known(items=items)), Taken)
    assert key(NIGHT, "a", SUFFIX, items=items) == "stop/005~me.jpg"
    held = {"stop/005~cam1.jpg": DAY}
    assert key(NIGHT, "a", KEEP, items=items, holders=held) == "stop/005~cam2.jpg"


def test_what_is_stored_beside_is_not_looked_for_before_all_others_have_their_names():
    items: dict[str, str | None] = {"stop/005.jpg": "x", "stop/005~me.jpg": "a"}
    assert isinstance(assign(NIGHT, "a", SUFFIX, Known(items=items)), Taken)


def test_a_file_after_the_state_was_lost_asks_no_more_than_two_names():
    known = Known(items={"stop/005.jpg": "a"})
    assign("stop/005.jpg", "a", KEEP, known)
    assert len(known.asked) == 2


def test_thousands_of_folders_do_not_search_for_each_other():
    known = Known(items={"stop/005.jpg": "x"})
    for number in range(2_000):
        path = f"stop/{number}/005.jpg"
        found = asked(path, "a", SUFFIX, known)
        assert isinstance(found, Placed)
        known.holders[found.key] = path
    assert len(known.asked) < 10_000


def test_a_name_that_cannot_be_carried_is_refused():
    with pytest.raises(NameRefusedError):
        assign("caf\udce9.jpg", None, KEEP, Known())


def test_what_lies_in_a_folder_called_so_is_not_beside():
    items: dict[str, str | None] = {"stop/005.jpg": "x", "stop/005~cam2/1.jpg": "a"}
    assert isinstance(asked(NIGHT, "a", KEEP, Known(items=items)), Taken)
