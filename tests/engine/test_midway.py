"""Names that change again while a job still has the file: its item follows to the last of them,
and what was sent is not sent again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from syncd.engine import dispatch
from syncd.engine.decider import Decider
from syncd.errors import UnreadableError
from syncd.local.read import Inside
from syncd.model import Verb
from syncd.remotes.memory import PlainDataset
from tests.engine.acts import Acts
from tests.engine.test_world import LAYOUTS, histories
from tests.engine.test_world import world as world_of

pytestmark = pytest.mark.timeout(300)
"""A history writes real state files, and each of them waits for the disk some twenty times."""

LEN = len(b"000001")
NAMES = ("rename_free", "rename_free", "rename_folder")
STEPS = ("turn", "turn", "turn", "work", "work", "deliver", "deliver", "wait")


def ids(world):
    return {content: world.id_of(path) for path, content in world.files().items()}


def kept(world):
    """Every item ever made is that of a file that is there."""
    world.settle()
    world.check()
    return len(world.shelf.entries) == len(world.files())


def begin(world):
    """The remote has it, and the mirror does not know yet."""
    assert world.pool.given
    world.pool.run(0)


def test_again_while_its_item_moves(world):
    for path in ("d/1.jpg", "d/2.jpg"):
        world.disk.write(path)
    world.settle()
    before, sent = ids(world), world.remote.sent
    world.disk.move("d", "e")
    world.turn()
    begin(world)
    for old, new in ("ef", "fg"):
        world.disk.move(old, new)
        world.turn()
    assert kept(world)
    assert set(world.stored()) == {"g/1.jpg", "g/2.jpg"}
    assert (ids(world), world.remote.sent) == (before, sent)


def test_while_it_is_stored_for_the_first_time(world):
    world.disk.write("d/1.jpg")
    world.turn()
    begin(world)
    world.disk.move("d", "e")
    assert kept(world)
    assert (set(world.stored()), world.remote.sent) == ({"e/1.jpg"}, LEN)


def test_while_a_new_version_is_stored(world):
    world.disk.write("1.jpg")
    world.settle()
    id, sent = world.id_of("1.jpg"), world.remote.sent
    world.disk.write("1.jpg", b"edited")
    while [job.verb for job in world.pool.given] != [Verb.REPLACE]:
        world.pool.run(0)
        world.pool.deliver(0)
        world.clock.advance(world.mirror.wait_for(1))
        world.turn()
    begin(world)
    world.disk.move("1.jpg", "2.jpg")
    assert kept(world)
    assert world.id_of("2.jpg") == id
    assert world.remote.sent == sent + LEN


def test_a_remote_that_cannot_move_gets_it_again(make_world):
    world = make_world(kind=PlainDataset)
    world.disk.write("1.jpg")
    world.turn()
    begin(world)
    world.disk.move("1.jpg", "2.jpg")
    world.settle()
    world.check()
    assert set(world.stored()) == {"2.jpg"}


def test_what_is_put_off_is_not_due_again_in_the_same_turn(world, monkeypatch):
    """However long the turn takes: it would never end."""
    monkeypatch.setattr(dispatch, "CHUNK", 5)
    for number in range(100):
        world.shelf.store(f"{number:03}.jpg", b"theirs")
        world.disk.write(f"{number:03}.jpg")
    world.meddled = True
    world.hear()
    decided: list[int] = []

    def slowly(self, rows, **more):
        world.clock.advance(0.1)
        decided.append(len(decided))
        assert len(decided) < 100, "it goes round"
        return decide(self, rows, **more)

    decide = Decider.decide
    monkeypatch.setattr(Decider, "decide", slowly)
    while len(world.troubles()) < 100:
        decided.clear()
        world.turn()
        world.pool.run(0)
        world.pool.deliver(0)


@pytest.mark.parametrize("removes", [True, False])
def test_a_file_that_cannot_be_read_holds_no_other_back(
    make_world, monkeypatch, allow_log, removes
):
    """Its new name was another's, and its old one has a new file by now."""
    allow_log("failed path")
    world = make_world(removes=removes)
    world.disk.write("p.jpg", b"old p")
    world.disk.write("q.jpg", b"old q")
    world.settle()
    read = Inside.read

    def refused(self, path, **more):
        if path == "q.jpg":
            raise UnreadableError("no right to read it", path=path)
        return read(self, path, **more)

    monkeypatch.setattr(Inside, "read", refused)
    world.disk.move("p.jpg", "q.jpg")
    world.disk.write("p.jpg", b"new p content")
    for _ in range(300):
        world.turn()
        world.pool.run(0)
        world.pool.deliver(0)
        world.clock.advance(min(1.0, world.mirror.wait_for(1.0)))
    assert world.stored()["p.jpg"] == b"new p content"
    assert set(world.troubles()) == {"q.jpg"}


@settings(max_examples=100)
@given(histories(("write",), 8), histories((*NAMES, "swap", "rotate", *STEPS), 20), LAYOUTS)
def test_whenever_names_change_items_keep_their_ids(files, moves, layout):
    with world_of(layout) as made:
        acts = Acts(made)
        acts.run([(name, i, 0) for name, i, j in files])  # no two of one content
        made.settle()
        before, sent = ids(made), made.remote.sent
        acts.run(moves)
        made.finish()
        made.check()
        assert (ids(made), made.remote.sent) == (before, sent)


@settings(max_examples=100)
@given(histories(("write", "write", *NAMES, *STEPS), 20), LAYOUTS)
def test_whenever_names_change_every_file_is_sent_once(history, layout):
    with world_of(layout) as made:
        Acts(made).run([(name, i, 0 if name == "write" else j) for name, i, j in history])
        made.finish()
        assert kept(made)
        assert made.remote.sent == LEN * len(made.files())
