"""What stops a mirror from removing: a root in doubt, a restored remote, too much at once."""

from __future__ import annotations

import shutil

import pytest

from syncd.engine.commands import carry_out
from syncd.engine.guard import LATELY_NS
from syncd.engine.session import push
from syncd.errors import NotFoundError, StateError
from syncd.model import OnDelete

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def _announced(allow_log):
    allow_log("paused|held back|no such plan|remote away|failed")


@pytest.fixture
def filled(make_world):
    def make(number, **options):
        world = make_world(**options)
        for n in range(number):
            world.disk.write(f"a/{n:03}.jpg")
        world.settle()
        return world

    return make


def approve(world):
    held, gate = world.mirror.state.meta.get("held"), world.mirror.state.meta.get("gate")
    plan = (gate or held)["plan"]
    said = world.tell(lambda mirror: carry_out(mirror, ["approve", plan]))
    assert str(said).startswith("approved: ")
    world.settle()


def test_a_file_that_is_gone_goes_to_the_trash_after_a_grace(world):
    world.disk.write("1.jpg")
    world.settle()
    world.disk.delete("1.jpg")
    world.turn()
    assert world.stored()
    world.settle()
    assert not world.stored()
    assert [entry.item.state.value for entry in world.shelf.entries.values()] == ["trashed"]


def test_delete_and_keep(make_world):
    for on_delete, left in ((OnDelete.DELETE, ["purged"]), (OnDelete.KEEP, ["present"])):
        world = make_world(on_delete=on_delete)
        world.disk.write("1.jpg")
        world.settle()
        world.disk.delete("1.jpg")
        world.settle()
        assert [entry.item.state.value for entry in world.shelf.entries.values()] == left


def test_a_kept_item_is_not_overwritten_by_another_file_of_its_name(make_world):
    world = make_world(on_delete=OnDelete.KEEP)
    world.disk.write("1.jpg", b"first")
    world.settle()
    world.disk.delete("1.jpg")
    world.settle()
    world.disk.write("1.jpg", b"second")
    world.finish()
    assert b"first" in world.stored().values()


@pytest.mark.parametrize("count", [11, 30])
def test_more_than_half_and_more_than_ten_wait_for_a_person(filled, count):
    world = filled(20 + count)
    world.disk.delete(*(f"a/{n:03}.jpg" for n in range(10 + count)))
    world.finish()
    assert len(world.stored()) == 20 + count
    assert world.mirror.state.meta.get("held")["removals"] == 10 + count
    approve(world)
    assert len(world.stored()) == 10
    world.check()


def test_ten_or_less_and_half_or_less_do_not(filled):
    world = filled(10)
    world.disk.delete("a")
    world.settle()
    assert not world.stored()
    world = filled(40)
    world.disk.delete(*(f"a/{n:03}.jpg" for n in range(20)))
    world.settle()
    assert len(world.stored()) == 20


def test_one_approval_is_for_more_than_one_chunk(filled):
    world = filled(1000)
    world.disk.delete("a")
    world.settle()
    approve(world)
    assert not world.stored()
    assert world.mirror.state.meta.get("held") is None


def test_what_goes_missing_after_the_approval_is_asked_for_again(filled):
    world = filled(100)
    world.disk.delete(*(f"a/{n:03}.jpg" for n in range(60)))
    world.settle()
    plan = world.mirror.state.meta.get("held")["plan"]
    world.clock.advance(1)
    world.disk.delete(*(f"a/{n:03}.jpg" for n in range(60, 95)))
    world.turn()
    world.tell(lambda mirror: carry_out(mirror, ["approve", plan]))
    world.settle()
    assert len(world.stored()) == 40
    assert world.mirror.state.meta.get("held")["removals"] == 35


def test_a_plan_that_was_never_named_is_not_approved(filled):
    world = filled(20)
    with pytest.raises(NotFoundError, match="no plan"):
        world.tell(lambda mirror: carry_out(mirror, ["approve", "abcdefabcdef"]))


def test_files_that_come_back_need_no_approval(filled):
    world = filled(20)
    world.disk.move("a", ".aside")
    world.finish()
    assert world.mirror.state.meta.get("held")
    world.disk.move(".aside", "a")
    world.finish()
    assert world.mirror.state.meta.get("held") is None
    world.check()


def test_a_slow_removal_of_everything_is_one_removal(filled):
    world = filled(100)
    for n in range(100):
        world.disk.delete(f"a/{n:03}.jpg")
        for _ in range(5):
            world.turn()
            world.pool.run(0)
            world.pool.deliver(0)
            world.clock.advance(0.1)
    world.finish()
    assert len(world.stored()) >= 40
    assert world.mirror.state.meta.get("held")


def test_what_is_replaced_all_the_time_is_not(filled):
    world = filled(100)
    for n in range(100, 300):
        world.disk.write(f"a/{n:03}.jpg")
        world.disk.delete(f"a/{n - 100:03}.jpg")
        for _ in range(2):
            world.turn()
            while world.pool.waiting:
                world.pool.run(0)
                world.pool.deliver(0)
                world.turn()
            world.clock.advance(0.5)
    world.finish()
    world.check()
    assert LATELY_NS == 60 * SECOND


def test_a_missing_root_is_no_empty_root(filled):
    world = filled(5)
    aside = world.root.with_name("aside")
    world.root.rename(aside)
    world.finish()
    assert world.mirror.guard.closed == "the folder is missing"
    assert len(world.stored()) == 5
    aside.rename(world.root)
    world.mirror.guard.check()
    world.finish()
    assert world.mirror.guard.closed is None
    world.check()


def test_another_disk_in_the_roots_place_waits_for_a_person(filled):
    world = filled(5)
    shutil.rmtree(world.root)
    world.root.mkdir()
    world.disk.write("new.jpg")
    world.finish()
    assert "another disk or a new folder" in world.mirror.guard.closed
    assert len(world.stored()) == 5
    assert "new.jpg" not in world.stored()
    approve(world)
    assert set(world.stored()) == {"new.jpg"}


def test_a_root_that_goes_while_it_is_scanned(filled):
    world = filled(5)
    world.sweep()
    shutil.move(world.root, world.root.with_name("aside"))
    world.root.mkdir()
    world.finish()
    assert len(world.stored()) == 5
    assert world.mirror.guard.closed


def test_a_restored_remote_stops_everything_until_a_person_has_said_so(filled):
    world = filled(3)
    backup = world.shelf.backup()
    world.disk.write("a/000.jpg", b"newer")
    world.disk.write("a/new.jpg")
    world.settle()
    world.shelf.put_back(backup, "second")
    before = world.stored()
    world.disk.delete("a/001.jpg")
    world.hear()
    world.finish()
    assert world.mirror.guard.closed == "the remote was restored from a backup"
    assert world.stored() == before
    world.meddled = True
    approve(world)
    world.finish()
    world.check()
    assert "a/001.jpg" not in world.stored()
    assert "a/new.jpg" in world.stored()


def test_the_roots_return_does_not_open_the_other_gate(filled):
    world = filled(3)
    world.shelf.put_back(world.shelf.backup(), "second")
    world.hear()
    world.turn()
    aside = world.root.with_name("aside")
    world.root.rename(aside)
    assert world.mirror.guard.check() == "the remote was restored from a backup"
    assert world.mirror.state.meta.get("gate")["kind"] == "root"
    aside.rename(world.root)
    assert world.mirror.guard.check() == "the remote was restored from a backup"
    assert world.mirror.state.meta.get("gate")["kind"] == "generation"


def test_a_push_of_a_restored_dataset_says_so_and_after_the_approval_sends_what_it_lacks(filled):
    world = filled(3, removes=False)
    backup = world.shelf.backup()
    world.disk.write("a/new.jpg")
    world.settle()
    world.shelf.put_back(backup, "second")
    world.restart()
    with pytest.raises(StateError, match="restored"):
        push(world.mirror)
    approve(world)
    world.restart()
    world.settle()
    assert "a/new.jpg" in world.stored()


def test_a_push_never_removes(filled):
    world = filled(3, removes=False)
    world.disk.delete("a/000.jpg")
    world.disk.write("a/001.jpg", b"changed, and gone before it is read")
    world.turn()
    world.disk.delete("a/001.jpg")
    world.finish()
    world.sweep()
    world.settle()
    assert len(world.stored()) == 3
