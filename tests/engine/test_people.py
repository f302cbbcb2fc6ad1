"""What people, and other machines, do at the remote: kept, listed, settled by a word."""

from __future__ import annotations

import pytest

from syncd.engine.commands import carry_out
from syncd.engine.pull import PARTIAL
from syncd.errors import ConflictError, NotFoundError, TransientError, UsageError
from syncd.model import Layout, OnConflict
from syncd.remotes.memory import Fault
from syncd.state.report import deeds_of


@pytest.fixture(autouse=True)
def _announced(allow_log):
    allow_log("failed path|held back")


@pytest.fixture
def one(world):
    """A world with one file in sync, where a person will do something."""
    world.disk.write("a/1.jpg", b"ours")
    world.settle()
    world.meddled = True
    return world


def hear(world):
    world.hear()
    world.settle()


def resolve(world, path, choice):
    said = world.tell(lambda mirror: carry_out(mirror, ["resolve", path, choice]))
    world.settle()
    return said


def test_what_a_person_trashed_is_not_sent_again(one):
    one.shelf.trash("a/1.jpg")
    hear(one)
    assert one.troubles() == {"a/1.jpg": "held: trashed at the remote"}
    one.disk.touch("a/1.jpg")
    one.finish()
    one.restart()
    one.finish()
    assert not one.stored()
    one.check()


def test_nor_after_the_state_was_lost(one):
    one.shelf.trash("a/1.jpg")
    one.crash()
    one.forget_state()
    one.start()
    one.finish()
    assert not one.stored()
    assert "a/1.jpg" in one.troubles()


def test_what_a_person_restored_is_in_sync_again(one):
    item = one.shelf.trash("a/1.jpg")
    hear(one)
    one.shelf.restore(item.id)
    hear(one)
    assert one.troubles() == {}
    one.check()


def test_trashed_there_and_changed_here_is_a_conflict(one):
    one.shelf.trash("a/1.jpg")
    hear(one)
    one.disk.write("a/1.jpg", b"edited")
    one.settle()
    assert one.troubles() == {"a/1.jpg": "conflict: changed here, trashed at the remote"}
    resolve(one, "a/1.jpg", "local")
    assert one.stored() == {"a/1.jpg": b"edited"}


def test_trashed_there_and_gone_here_is_agreed(one):
    one.shelf.trash("a/1.jpg")
    hear(one)
    one.disk.delete("a/1.jpg")
    one.settle()
    assert one.troubles() == {}
    assert one.mirror.state.files.row("a/1.jpg") is None


def test_trashed_there_and_renamed_here_does_not_come_to_harm(one):
    one.shelf.trash("a/1.jpg")
    hear(one)
    one.disk.move("a/1.jpg", "b/2.jpg")
    one.finish()
    one.check()


def test_what_vanished_without_a_trace_is_sent_again(one):
    one.shelf.vanish("a/1.jpg")
    one.finish()
    assert one.stored() == {"a/1.jpg": b"ours"}
    assert one.troubles() == {}


def test_a_changed_file_whose_item_vanished_is_sent_without_waiting_for_a_sweep(one):
    one.shelf.vanish("a/1.jpg")
    one.disk.write("a/1.jpg", b"edited")
    one.settle()
    assert one.stored() == {"a/1.jpg": b"edited"}


def test_what_a_mirror_took_away_is_sent_again(one):
    one.shelf.trash("a/1.jpg", by="mirror:another")
    hear(one)
    assert one.stored() == {"a/1.jpg": b"ours"}


def test_a_file_that_comes_back_after_the_trash_was_emptied(one):
    one.disk.move("a/1.jpg", ".aside")
    one.settle()
    one.remote.open("pets", create=False, source="ann").empty_trash()
    hear(one)
    one.disk.move(".aside", "a/1.jpg")
    one.settle()
    assert one.stored() == {"a/1.jpg": b"ours"}


def test_a_rename_there_is_followed_and_stays(one):
    one.shelf.rename("a/1.jpg", "b/named.jpg")
    hear(one)
    assert one.troubles() == {}
    one.disk.write("a/1.jpg", b"edited")
    one.finish()
    assert one.stored() == {"b/named.jpg": b"edited"}
    one.check()


def test_a_rename_there_onto_the_name_of_another_file(one):
    one.disk.write("b/2.jpg", b"second")
    one.settle()
    one.disk.delete("b/2.jpg")
    one.turn()
    one.shelf.trash("b/2.jpg", by="mirror:another")
    one.shelf.rename("a/1.jpg", "b/2.jpg")
    one.disk.write("b/2.jpg", b"third")
    hear(one)
    one.finish()
    one.check()
    assert sorted(one.stored().values()) == [b"ours", b"third"]


@pytest.mark.parametrize("read_anew", [False, True])
def test_renamed_and_changed_there_into_what_another_file_is(one, read_anew):
    if read_anew:  # Both are read, and then decided at one time.
        one.clock.advance(60)
        one.disk.touch("a/1.jpg")
    one.shelf.rename("a/1.jpg", "2.jpg")
    one.people.add(one.shelf.store("2.jpg", b"edited").digest)
    one.hear()
    one.disk.write("2.jpg", b"edited")
    one.settle()
    assert one.troubles() == {}
    assert one.stored() == {"2.jpg": b"edited", "a/1.jpg": b"ours"}
    assert one.remote.sent == 2 * len(b"ours")
    one.check()


def test_changed_there_only_is_not_overwritten(one):
    one.people.add(one.shelf.store("a/1.jpg", b"theirs").digest)
    hear(one)
    assert one.troubles() == {"a/1.jpg": "conflict: changed at the remote"}
    one.disk.delete("a/1.jpg")
    one.finish()
    assert one.stored() == {"a/1.jpg": b"theirs"}


def test_changed_alike_on_both_sides_is_agreed(one):
    one.shelf.store("a/1.jpg", b"edited")
    one.disk.write("a/1.jpg", b"edited")
    hear(one)
    assert one.troubles() == {}
    one.check()


def test_changed_on_both_sides_without_having_heard_of_it(one):
    one.people.add(one.shelf.store("a/1.jpg", b"theirs").digest)
    one.disk.write("a/1.jpg", b"edited")
    one.settle()
    assert one.troubles() == {"a/1.jpg": "conflict: changed on both sides"}
    assert one.stored() == {"a/1.jpg": b"theirs"}


@pytest.fixture
def torn(one):
    """Both sides changed."""
    one.shelf.store("a/1.jpg", b"theirs")
    one.disk.write("a/1.jpg", b"edited")
    hear(one)
    return one


def test_settled_for_the_local_file(torn):
    said = resolve(torn, "a/1.jpg", "local")
    assert said == "a/1.jpg: the local file will replace the remote one"
    assert torn.stored() == {"a/1.jpg": b"edited"}
    assert torn.troubles() == {}


def test_settled_for_the_remote_one(torn):
    resolve(torn, "a/1.jpg", "remote")
    assert torn.files() == {"a/1.jpg": b"theirs"}
    assert torn.stored() == {"a/1.jpg": b"theirs"}
    assert torn.troubles() == {}
    torn.finish()
    torn.check()


def fetching(world):
    """Ask for the remote content, and see that turns are taken while no worker has it yet."""
    later = world.tell(lambda mirror: carry_out(mirror, ["resolve", "a/1.jpg", "remote"]))
    world.disk.write("a/2.jpg", b"another")
    world.turn()
    assert not later.done()
    assert world.files()["a/1.jpg"] == b"edited"
    assert "a/1.jpg" in world.troubles()
    return later


def test_the_remote_content_is_fetched_beside_the_loop(torn):
    later = fetching(torn)
    torn.settle()
    assert later.result(0) == "a/1.jpg: the remote content was taken"
    assert torn.files() == {"a/1.jpg": b"theirs", "a/2.jpg": b"another"}
    assert torn.stored() == torn.files()


def test_what_changed_while_it_was_fetched_is_not_replaced(torn, expect_log):
    expect_log("remote content not taken path=a/1.jpg")
    later = fetching(torn)
    torn.disk.write("a/1.jpg", b"edited once more")
    torn.settle()
    with pytest.raises(ConflictError, match="changed meanwhile"):
        later.result(0)
    assert torn.files()["a/1.jpg"] == b"edited once more"
    assert "conflict" in torn.troubles()["a/1.jpg"]
    resolve(torn, "a/1.jpg", "remote")
    assert torn.files()["a/1.jpg"] == b"theirs"


def test_what_was_settled_otherwise_while_it_was_fetched_stays_so(torn, expect_log):
    expect_log("remote content not taken path=a/1.jpg")
    later = fetching(torn)
    torn.tell(lambda mirror: carry_out(mirror, ["resolve", "a/1.jpg", "local"]))
    torn.settle()
    with pytest.raises(NotFoundError, match="is in no conflict"):
        later.result(0)
    assert torn.stored()["a/1.jpg"] == b"edited"
    assert not list(torn.root.rglob(f"{PARTIAL}*"))


def test_a_content_that_cannot_be_fetched_changes_nothing(torn, expect_log):
    expect_log("remote content not taken path=a/1.jpg")
    torn.faults.append(Fault.UNREACHABLE)
    said = resolve(torn, "a/1.jpg", "remote")
    with pytest.raises(TransientError):
        said.result(0)
    assert torn.files() == {"a/1.jpg": b"edited"}
    assert "conflict" in torn.troubles()["a/1.jpg"]
    (last,) = deeds_of(torn.folder / "state", "a/1.jpg", 0, 1)
    assert (last.verb, last.reason) == ("failed", f"to take the remote: {said.exception(0)}")


def test_settled_for_both(torn):
    resolve(torn, "a/1.jpg", "both")
    assert sorted(torn.stored().values()) == [b"edited", b"theirs"]
    assert torn.troubles() == {}
    torn.finish()
    torn.check()
    assert torn.stored()["a/1.jpg"] == b"theirs"


def test_gone_here_and_changed_there_is_settled_either_way(make_world):
    for choice, left in (("local", {}), ("remote", {"1.jpg": b"theirs"})):
        world = make_world()
        world.disk.write("1.jpg", b"ours")
        world.settle()
        world.meddled = True
        world.shelf.store("1.jpg", b"theirs")
        world.disk.delete("1.jpg")
        hear(world)
        assert world.troubles() == {"1.jpg": "conflict: gone here, changed at the remote"}
        resolve(world, "1.jpg", choice)
        assert world.stored() == left
        assert world.files() == left
        assert world.troubles() == {}


def test_what_is_in_no_conflict_cannot_be_settled(one):
    with pytest.raises(NotFoundError, match="is in no conflict"):
        resolve(one, "a/1.jpg", "local")


def test_an_answer_that_is_none(torn):
    with pytest.raises(UsageError, match="theirs"):
        resolve(torn, "a/1.jpg", "theirs")
    assert torn.stored() == {"a/1.jpg": b"theirs"}


def test_the_remote_side_of_what_it_does_not_hold(one):
    one.shelf.trash("a/1.jpg")
    one.disk.write("a/1.jpg", b"edited")
    hear(one)
    with pytest.raises(UsageError, match="holds nothing"):
        resolve(one, "a/1.jpg", "remote")


# --- names that are taken -------------------------------------------------------------------------


def test_a_name_that_is_taken_leaves_both_alone(world):
    world.shelf.store("a/1.jpg", b"theirs")
    world.meddled = True
    world.disk.write("a/1.jpg", b"ours")
    world.settle()
    assert world.troubles() == {"a/1.jpg": "conflict: the name is taken by other content"}
    assert world.stored() == {"a/1.jpg": b"theirs"}
    world.shelf.rename("a/1.jpg", "a/other.jpg")
    hear(world)
    assert world.stored() == {"a/1.jpg": b"ours", "a/other.jpg": b"theirs"}


def test_the_same_content_is_adopted_unsent(world):
    world.shelf.store("a/1.jpg", b"same")
    world.disk.write("a/1.jpg", b"same")
    world.settle()
    assert world.remote.sent == 0
    world.check()


def test_two_machines_with_the_same_names(make_world):
    world = make_world(on_conflict=OnConflict.SUFFIX, source="north", layout=Layout.TREE)
    for n in range(5):
        world.shelf.store(f"{n}.jpg", b"south %d" % n)
        world.disk.write(f"{n}.jpg", b"north %d" % n)
    world.meddled = True
    world.settle()
    assert set(world.stored()) == {f"{n}.jpg" for n in range(5)} | {
        f"{n}~north.jpg" for n in range(5)
    }
    world.finish()
    world.check()
    assert world.troubles() == {}


def test_a_name_taken_between_the_decision_and_the_request(make_world):
    world = make_world(on_conflict=OnConflict.SUFFIX, source="north")
    world.disk.write("1.jpg", b"ours")
    world.turn()
    assert world.pool.given
    world.shelf.store("1.jpg", b"theirs")
    world.meddled = True
    world.settle()
    assert world.stored() == {"1.jpg": b"theirs", "1~north.jpg": b"ours"}


def test_an_item_put_under_our_items_name_is_not_taken_for_ours(one):
    one.shelf.vanish("a/1.jpg")
    one.people.add(one.shelf.store("a/1.jpg", b"theirs").digest)
    one.disk.write("a/1.jpg", b"edited")
    one.settle()
    assert one.stored() == {"a/1.jpg": b"theirs"}
    assert one.troubles() == {"a/1.jpg": "conflict: the name is taken by other content"}


def test_a_name_that_our_own_move_sets_free_is_had_by_who_waits_for_it(make_world):
    world = make_world(layout=Layout.TREE)
    world.disk.write("a/1.jpg", b"first")
    world.settle()
    world.meddled = True
    world.disk.move("a/1.jpg", ".aside")
    world.turn()
    world.shelf.rename("a/1.jpg", "b/2.jpg")
    world.hear()
    world.disk.write("b/2.jpg", b"second")
    for _ in range(6):
        world.turn()
        world.pool.run(0)
        world.pool.deliver(0)
        world.clock.advance(0.1)
    assert "b/2.jpg" in world.troubles()
    world.disk.move(".aside", "c/3.jpg")
    world.settle()
    assert world.stored() == {"c/3.jpg": b"first", "b/2.jpg": b"second"}
    assert world.troubles() == {}
