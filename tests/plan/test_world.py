"""Whole histories of a disk and a remote: what must hold whatever happens, in whatever order."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from syncd.model import ItemState, OnConflict, OnDelete
from tests.plan.strategies import (
    CONTENTS,
    PATHS,
    PLAIN,
    all_steps,
    disk_steps,
    histories,
    policies,
    run,
)
from tests.plan.world import World, shuffled

FULL = {
    "can_replace": True, "can_move": True, "can_trash": True, "can_remove": True,
    "on_delete": OnDelete.TRASH,
}  # fmt: skip


def remote(world):
    return {item.key: item.digest for item in world.present()}


def listed(actions):
    return sorted((action.verb, action.path, action.reason) for action in actions)


@settings(max_examples=250)
@given(policies(), histories(all_steps()))
def test_it_settles_with_every_file_stored_or_listed(policy, history):
    world = World(policy=policy)
    run(world, history)
    left = world.converge()
    before, told = deepcopy(world.items), {action.path for action in left}
    assert listed(world.converge()) == listed(left)
    assert world.items == before
    for path, file in world.disk.items():
        row = world.rows[path]
        if path not in told:
            item = world.items[row.receipt.id]
            assert (item.state, item.digest) == (ItemState.PRESENT, file.content)
            assert item.key == row.key == row.receipt.key


@settings(max_examples=250)
@given(policies(), histories(all_steps()), st.integers(0, 12))
def test_any_part_of_a_plan_leads_to_where_the_whole_does(policy, history, part):
    whole = World(policy=policy)
    run(whole, history)
    whole.plan()
    torn = deepcopy(whole)
    whole.apply(whole.plan())
    left = whole.converge()
    torn.apply(torn.plan()[:part])
    assert listed(torn.converge()) == listed(left)
    assert remote(torn) == remote(whole)
    assert {p: r.key for p, r in torn.rows.items()} == {p: r.key for p, r in whole.rows.items()}


@settings(max_examples=250)
@given(policies(), histories(all_steps()))
def test_what_others_stored_is_touched_by_nobody_but_them(policy, history):
    world = World(policy=policy)
    run(world, history)
    theirs = {item.id: item for item in world.present() if item.by == "ann"}
    agreed = {row.receipt.id: row.receipt.digest for row in world.rows.values() if row.receipt}
    world.converge()
    for id, item in theirs.items():
        if agreed.get(id) != item.digest:
            assert world.items[id].digest == item.digest
            assert world.items[id].key == item.key
            assert world.items[id].state is item.state


@settings(max_examples=250)
@given(policies(**FULL), histories(disk_steps()))
def test_without_others_the_remote_is_the_disk(policy, history):
    world = World(policy=policy)
    run(world, history)
    assert world.converge() == []
    contents = Counter(file.content for file in world.disk.values())
    assert Counter(remote(world).values()) == contents


@settings(max_examples=250)
@given(policies(), histories(all_steps()), st.integers(0, 99))
def test_the_order_of_the_rows_does_not_matter_once_they_are_placed(policy, history, seed):
    world = World(policy=policy)
    run(world, history)
    world.plan()
    world.displace()
    assume(all(row.key for row in world.rows.values()))
    assert world.plan() == deepcopy(world).plan(shuffled(seed))


@settings(max_examples=250)
@given(
    st.lists(st.sampled_from(PLAIN), unique=True),
    st.lists(st.sampled_from(CONTENTS), min_size=len(PLAIN)),
    policies(**FULL),
    st.integers(0, 99),
    st.integers(0, 99),
)
def test_after_losing_the_state_each_file_finds_its_own_item(
    paths, contents, policy, first, second
):
    check_found_again(paths, contents, policy, first, second)


@settings(max_examples=250)
@given(
    st.lists(st.sampled_from(PATHS), unique=True), policies(**FULL), st.integers(0, 99),
    st.integers(0, 99), st.sets(st.sampled_from(PATHS)),
)  # fmt: skip
def test_also_with_names_that_look_like_ours_and_foreign_items(paths, policy, first, second, keys):
    world = World(policy=policy)
    for number, key in enumerate(sorted(keys)):
        world.put(key, f"foreign {number}")
    contents = [f"own {number}" for number in range(len(paths))]
    check_found_again(paths, contents, policy, first, second, world)


@settings(max_examples=250)
@given(
    st.lists(st.sampled_from(PATHS), unique=True), policies(on_conflict=OnConflict.SUFFIX, **FULL),
    st.integers(0, 99), st.integers(0, 99), st.sets(st.sampled_from(PATHS)),
    st.sampled_from(OnConflict),
)  # fmt: skip
def test_also_where_this_side_is_called_otherwise_since(paths, policy, first, second, keys, then):
    world = World(policy=policy)
    for number, key in enumerate(sorted(keys)):
        world.put(key, f"foreign {number}")
    contents = [f"own {number}" for number in range(len(paths))]
    later = replace(policy, on_conflict=then, source="you")
    check_found_again(paths, contents, policy, first, second, world, later)


def check_found_again(paths, contents, policy, first, second, world=None, later=None):
    """Files arrive one by one; then the state is lost, and they are asked in another order, by a
    policy that may have changed since."""
    world = world or World(policy=policy)
    for path, content in zip(paths, contents, strict=False):
        world.write(path, content)
        world.apply(world.plan(shuffled(first)))
        left = world.converge()
    if not paths:
        return
    keys = {path: row.key for path, row in world.rows.items()}
    world.lose_state()
    world.policy = later or policy
    sent = world.sent
    for _ in range(3):
        world.apply(world.plan(shuffled(second)))
    assert listed(world.converge()) == listed(left)
    assert {path: row.key for path, row in world.rows.items()} == keys
    assert world.sent == sent
