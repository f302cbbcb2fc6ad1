"""Items that a killed run stored and never heard of: they are their files' own, by whatever name
and content these are found again."""

from __future__ import annotations

import pytest

from syncd.model import Layout

MANY = 15


def killed_unheard(world):
    """The remote has stored all that is there; the process ended before it heard so."""
    world.turn()
    while world.pool.given:
        world.pool.run(0)
    world.crash()


def look_again(world):
    """As a daemon begins: it scans, and compares with all the remote holds."""
    world.start()
    world.mirror.comparison.want()
    world.sweep()
    world.settle()
    world.finish()
    world.check()


def ids(world):
    return {item.key: item.id for item in world.shelf.present()}


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("path", ["1.jpg", "a/1.jpg", "a/c/1.jpg"])
def test_changed_after_the_kill_it_is_a_new_version(make_world, layout, path):
    world = make_world(layout=layout)
    world.disk.write(path, b"before the kill")
    killed_unheard(world)
    before = ids(world)
    world.disk.write(path, b"after it")
    look_again(world)
    assert list(world.stored().values()) == [b"after it"]
    assert ids(world) == before


@pytest.mark.parametrize("layout", list(Layout))
def test_many_of_them_that_the_guard_would_hold(make_world, layout):
    world = make_world(layout=layout)
    for n in range(MANY):
        world.disk.write(f"a/c/{n}.jpg")
    killed_unheard(world)
    before = ids(world)
    for n in range(MANY):
        world.disk.write(f"a/c/{n}.jpg", b"anew %d" % n)
    look_again(world)
    assert ids(world) == before
    assert sorted(world.stored().values()) == sorted(b"anew %d" % n for n in range(MANY))


def test_many_that_went_while_others_took_their_names(make_world):
    """What was in them is nowhere; no name is passed over for the sake of what is to be removed."""
    world = make_world(layout=Layout.FLAT)
    for n in range(MANY):
        world.disk.write(f"a/{n}.jpg")
    killed_unheard(world)
    before = ids(world)
    for n in range(MANY):
        world.disk.move(f"a/{n}.jpg", f"b/{n}.jpg")
        world.disk.write(f"b/{n}.jpg", b"another %d" % n)
    look_again(world)
    assert ids(world) == before


def test_renamed_and_its_name_taken_at_the_kill(make_world):
    world = make_world(layout=Layout.TREE)
    world.disk.write("1.jpg", b"the first")
    killed_unheard(world)
    world.disk.move("1.jpg", "2.jpg")
    world.disk.write("1.jpg", b"another of other size")
    look_again(world)
    assert world.stored() == {"1.jpg": b"another of other size", "2.jpg": b"the first"}


def test_a_push_that_was_killed(make_world):
    world = make_world(layout=Layout.TREE, removes=False)
    for n in range(MANY):
        world.disk.write(f"{n}.jpg")
    killed_unheard(world)
    before = ids(world)
    for n in range(MANY):
        world.disk.write(f"{n}.jpg", b"anew %d" % n)
    look_again(world)
    assert ids(world) == before


@pytest.mark.parametrize("then", [b"short", b"of another size and content"])
def test_moved_unheard_and_changed_where_the_guard_would_hold(make_world, then, allow_log):
    allow_log("removals held back")
    world = make_world(layout=Layout.TREE)
    for n in range(MANY):
        world.disk.write(f"a/{n}.jpg")
    world.settle()
    before = ids(world)
    world.disk.move("a", "b")
    for _ in range(9):
        world.clock.advance(0.5)
        world.turn()
    killed_unheard(world)
    assert ids(world) == {f"b/{n}.jpg": before[f"a/{n}.jpg"] for n in range(MANY)}
    for n in range(MANY):
        world.disk.write(f"b/{n}.jpg", b"%s %d" % (then, n))
    look_again(world)
    assert ids(world) == {f"b/{n}.jpg": before[f"a/{n}.jpg"] for n in range(MANY)}


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("removes", [True, False])
def test_deleted_at_the_kill_and_made_anew_while_their_removal_is_held_back(
    make_world, layout, removes, allow_log
):
    allow_log("removals held back")
    world = make_world(layout=layout, removes=removes)
    for n in range(MANY):
        world.disk.write(f"a/{n}.jpg")
    killed_unheard(world)
    before = ids(world)
    for n in range(MANY):
        world.disk.delete(f"a/{n}.jpg")
    look_again(world)
    assert ids(world) == before  # held back, or not removed by a push
    for n in range(MANY):
        world.disk.write(f"a/{n}.jpg", b"anew %d" % n)
    look_again_at(world)
    assert ids(world) == before
    assert sorted(world.stored().values()) == sorted(b"anew %d" % n for n in range(MANY))


def look_again_at(world):
    world.settle()
    world.finish()
    world.check()
