"""Names that change: no bytes travel, and an item keeps its id, whatever happens to the names."""

from __future__ import annotations

import pytest

from syncd.engine import decider, dispatch
from syncd.model import Layout
from syncd.remotes.memory import PlainDataset


def ids(world):
    return {content: world.id_of(path) for path, content in world.files().items()}


@pytest.fixture
def settled(make_world):
    """A world with some files in sync, and what must still be so after their names changed."""

    def make(*paths, **options):
        world = make_world(**options)
        for path in paths:
            world.disk.write(path)
        world.settle()
        world.remote.sent = 0
        return world, ids(world)

    return make


def unchanged(world, before):
    world.settle()
    world.check()
    assert ids(world) == before
    assert world.remote.sent == 0


def test_a_rename(settled):
    world, before = settled("a/1.jpg")
    world.disk.move("a/1.jpg", "b/2.jpg")
    unchanged(world, before)
    assert set(world.stored()) == {"b/2.jpg"}


def test_a_folder(settled):
    world, before = settled("a/1.jpg", "a/2.jpg", "a/deep/3.jpg", layout=Layout.TREE)
    world.disk.move("a", "b")
    unchanged(world, before)
    assert set(world.stored()) == {"b/1.jpg", "b/2.jpg", "b/deep/3.jpg"}


def test_a_folder_that_the_layout_folds_costs_no_request(settled):
    world, before = settled("1.jpg", "a/2.jpg", layout=Layout.FLAT)
    asked = len(world.requests)
    world.disk.move("a", "b")
    unchanged(world, before)
    assert len(world.requests) == asked


def test_two_files_that_change_names(settled):
    world, before = settled("1.jpg", "2.jpg")
    world.disk.rotate("1.jpg", "2.jpg")
    unchanged(world, before)


def test_two_folders_that_change_names(settled):
    world, before = settled("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/3.jpg")
    world.disk.move("a", "c")
    world.disk.move("b", "a")
    world.disk.move("c", "b")
    unchanged(world, before)


def test_a_chain_in_one_go(settled):
    world, before = settled(*(f"{n}.jpg" for n in range(1, 7)))
    for n in range(6, 0, -1):
        world.disk.move(f"{n}.jpg", f"{n + 1}.jpg")
    unchanged(world, before)
    assert set(world.stored()) == {f"{n}.jpg" for n in range(2, 8)}


def test_a_chain_longer_than_a_chunk(settled):
    world, before = settled(*(f"{n:04}.jpg" for n in range(1000)))
    world.disk.deaf = 9999
    for n in range(999, -1, -1):
        world.disk.move(f"{n:04}.jpg", f"{n + 1:04}.jpg")
    world.sweep()
    unchanged(world, before)
    assert set(world.stored()) == {f"{n:04}.jpg" for n in range(1, 1001)}


def test_a_circle_longer_than_a_batch(settled):
    paths = [f"{n:03}.jpg" for n in range(300)]
    world, before = settled(*paths)
    world.disk.rotate(*paths)
    unchanged(world, before)


def test_two_folders_longer_than_a_chunk_that_change_names(settled):
    world, before = settled(*(f"{folder}/{n:03}.jpg" for folder in "ab" for n in range(450)))
    world.disk.move("a", "c")
    world.disk.move("b", "a")
    world.disk.move("c", "b")
    unchanged(world, before)


@pytest.mark.parametrize("most", [5, 8, 30])
def test_more_than_are_decided_at_once_come_to_rest(settled, monkeypatch, most):
    """Some are stored anew under each other's names; all are stored."""
    monkeypatch.setattr(decider, "MOST", most)
    monkeypatch.setattr(dispatch, "CHUNK", 5)
    numbers = range(12)
    world, _ = settled(
        *(f"a/c/{n}{end}.jpg" for n in numbers for end in ("", "~c")),
        *(f"a/c/d/{n}~a.jpg" for n in numbers),
    )
    for n in numbers:
        world.disk.move(f"a/c/{n}.jpg", f"a/{n}~a.jpg")
        world.disk.move(f"a/c/{n}~c.jpg", f"a/c/d/{n}.jpg")
        world.disk.move(f"a/c/d/{n}~a.jpg", f"a/c/{n}~c.jpg")
    world.settle()
    world.check()
    assert len(world.stored()) == 36


def test_names_handed_on_in_a_circle_of_keys_are_decided_at_once(settled):
    """Each waits for the key that the next one leaves, and one of them is not quiet yet."""
    world, before = settled("a/c/1.jpg", "a/c/1~c.jpg", "a/c/d/1~a.jpg")
    world.disk.move("a/c/1.jpg", "a/1~a.jpg")
    world.disk.move("a/c/1~c.jpg", "a/c/d/1.jpg")
    world.disk.move("a/c/d/1~a.jpg", "a/c/1~c.jpg")
    unchanged(world, before)
    assert set(world.stored()) == {"a/1~a.jpg", "a/1.jpg", "a/1~c.jpg"}


def test_a_name_is_not_handed_on_before_its_item_can_leave(settled):
    """That is after a deleted file has left its key, a second after the other names are quiet."""
    world, before = settled("a/c/1.jpg", "a/c/1~c.jpg", "a/c/d/1~a.jpg")
    del before[world.files()["a/c/1.jpg"]]
    world.disk.move("a/c/1~c.jpg", "a/c/.aside")
    world.disk.move("a/c/d/1~a.jpg", "a/c/1~c.jpg")
    world.turn()
    world.clock.advance(1.0)
    world.disk.delete("a/c/1.jpg")
    world.disk.move("a/c/.aside", "a/c/d/1.jpg")
    unchanged(world, before)
    assert set(world.stored()) == {"a/1.jpg", "a/1~c.jpg"}


@pytest.mark.parametrize("rounds", [1, 8])
def test_a_long_circle_of_files_that_wait_for_a_name_comes_to_rest(settled, monkeypatch, rounds):
    """Some take another name instead."""
    monkeypatch.setattr(decider, "MOST", 8)
    monkeypatch.setattr(decider, "ROUNDS", rounds)
    monkeypatch.setattr(dispatch, "CHUNK", 5)
    paths = [f"a/c/{n:02}.jpg" for n in range(30)]
    world, before = settled(*paths)
    for old, new in zip(paths, paths[1:] + paths[:1], strict=True):
        world.disk.move(old, f"a/{'de'[int(old[4:6]) % 2]}/{new[4:]}")
    unchanged(world, before)


def test_onto_a_name_that_is_taken_it_is_a_new_version_of_that(settled):
    world, _ = settled("1.jpg", "2.jpg")
    second = world.id_of("2.jpg")
    world.disk.move("1.jpg", "2.jpg")
    world.settle()
    world.check()
    assert world.id_of("2.jpg") == second
    assert set(world.stored()) == {"2.jpg"}


def test_an_atomic_replace_keeps_the_id(settled):
    world, _ = settled("1.jpg")
    id = world.id_of("1.jpg")
    world.disk.replace("1.jpg", b"new")
    world.settle()
    assert world.id_of("1.jpg") == id
    assert world.stored() == {"1.jpg": b"new"}


def test_a_file_changed_and_renamed_before_it_was_looked_at(settled):
    world, _ = settled("1.jpg")
    world.disk.write("1.jpg", b"edited")
    world.turn()  # seen, and on its way to be read
    world.disk.move("1.jpg", "2.jpg")
    world.settle()
    world.check()
    assert world.stored() == {"2.jpg": b"edited"}


def test_a_name_given_to_a_new_file_at_once(settled):
    world, before = settled("1.jpg")
    world.disk.move("1.jpg", "2.jpg")
    world.disk.write("1.jpg", b"new")
    world.settle()
    world.check()
    assert world.id_of("2.jpg") in before.values()
    assert world.remote.sent == len(b"new")


def test_a_file_that_comes_back_while_its_item_moves(settled):
    world, _ = settled("1.jpg")
    world.disk.move("1.jpg", "2.jpg")
    world.turn()
    assert world.pool.given
    world.disk.write("1.jpg", b"another")
    world.settle()
    world.check()
    assert set(world.stored()) == {"1.jpg", "2.jpg"}


def test_there_and_back_while_its_item_moves(settled):
    world, before = settled("1.jpg")
    world.disk.move("1.jpg", "2.jpg")
    world.turn()
    world.pool.run(0)
    world.disk.move("2.jpg", "1.jpg")
    unchanged(world, before)


def test_a_move_to_another_disk_and_back_is_known_by_digest(settled):
    world, before = settled("1.jpg")
    world.disk.copy("1.jpg", "2.jpg")
    world.disk.delete("1.jpg")
    unchanged(world, before)


def test_a_remote_that_cannot_move_gets_it_again(settled):
    world, _ = settled("1.jpg", kind=PlainDataset)
    world.disk.move("1.jpg", "2.jpg")
    world.settle()
    world.check()
    assert set(world.stored()) == {"2.jpg"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"prefix": "a"}),
        ({"prefix": "a"}, {}),
        ({"layout": Layout.FLAT}, {"layout": Layout.TREE}),
        ({"layout": Layout.TREE}, {"layout": Layout.FLAT}),
        ({"layout": Layout.FLAT}, {}),
    ],
)
def test_another_layout_moves_items_through_each_others_names(settled, old, new):
    paths = ["1.jpg", "a/1.jpg", "a/a/1.jpg", "a/a/a/1.jpg", "1~a.jpg", "a/1~a.jpg"]
    world, before = settled(*paths, **old)
    world.restart(type(world.options)(**new))
    unchanged(world, before)
    fresh = settled(*paths, **new)[0]
    assert set(world.stored()) == set(fresh.stored())


def test_two_that_look_alike_and_collide_find_their_own_after_the_state_is_lost(settled):
    world, _ = settled(layout=Layout.FLAT)
    world.disk.write("a/1.jpg", b"same")
    world.disk.write("b/1.jpg", b"same")
    world.settle()
    assert set(world.stored()) == {"1.jpg", "1~b.jpg"}
    world.remote.sent = 0
    world.crash()
    world.forget_state()
    world.start()
    world.sweep()
    world.settle()
    world.check()
    assert world.id_of("a/1.jpg") != world.id_of("b/1.jpg")
    assert world.remote.sent == 0
