"""What is stored beside an item that has its name: found again by its content when the state is
lost, and nobody else's taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.engine.commands import carry_out
from syncd.engine.opening import machine
from syncd.model import OnConflict


@pytest.fixture(autouse=True)
def _announced(allow_log):
    allow_log("failed path|held back")


def hear(world):
    world.hear()
    world.settle()


def resolve(world, choice):
    said = world.tell(lambda mirror: carry_out(mirror, ["resolve", "a/1.jpg", choice]))
    world.settle()
    return said


def lose_state(world, **options):
    world.crash()
    world.forget_state()
    world.options = replace(world.options, **options)
    world.start()
    world.finish()


@pytest.fixture
def beside(make_world):
    """A file that is stored beside another one of its name, by a source of its own."""
    world = make_world(on_conflict=OnConflict.SUFFIX, source="north")
    world.shelf.store("a/1.jpg", b"theirs")
    world.meddled = True
    world.disk.write("a/1.jpg", b"ours")
    world.settle()
    assert world.stored() == {"a/1.jpg": b"theirs", "a/1~north.jpg": b"ours"}
    return world


@pytest.fixture
def torn(world):
    """Both sides changed."""
    world.disk.write("a/1.jpg", b"first")
    world.settle()
    world.meddled = True
    world.shelf.store("a/1.jpg", b"theirs")
    world.disk.write("a/1.jpg", b"edited")
    hear(world)
    return world


def test_it_is_found_again_also_where_what_had_the_name_is_gone(beside):
    beside.shelf.trash("a/1.jpg")
    sent = beside.remote.sent
    lose_state(beside)
    assert (beside.stored(), beside.remote.sent) == ({"a/1~north.jpg": b"ours"}, sent)
    beside.disk.write("a/c/1.jpg", b"new")
    beside.finish()
    assert set(beside.stored().values()) == {b"ours", b"new"}
    beside.check()


@pytest.mark.parametrize("on_conflict", OnConflict)
@pytest.mark.parametrize("source", ["north", "south", ""])
def test_what_is_stored_beside_is_found_again_without_the_state(beside, on_conflict, source):
    before, sent = beside.stored(), beside.remote.sent
    lose_state(beside, on_conflict=on_conflict, source=source)
    assert beside.troubles() == {}
    assert (beside.stored(), beside.remote.sent) == (before, sent)
    beside.check()
    beside.disk.write("a/1.jpg", b"edited")
    beside.finish()
    assert beside.stored() == {"a/1.jpg": b"theirs", "a/1~north.jpg": b"edited"}


def test_so_is_what_a_person_had_stored_beside(torn):
    resolve(torn, "both")
    before, sent = torn.stored(), torn.remote.sent
    assert before == {"a/1.jpg": b"theirs", f"a/1~{machine()}.jpg": b"edited"}
    lose_state(torn)
    assert torn.troubles() == {}
    assert (torn.stored(), torn.remote.sent) == (before, sent)
    torn.check()


def test_other_content_beside_is_nobodys_here(beside):
    beside.disk.write("a/1.jpg", b"edited")
    lose_state(beside, on_conflict=OnConflict.KEEP)
    assert beside.troubles() == {"a/1.jpg": "conflict: the name is taken by other content"}
    assert beside.stored() == {"a/1.jpg": b"theirs", "a/1~north.jpg": b"ours"}


def test_nor_is_what_a_person_put_there(world):
    """Nobody's own name, and it was no mirror that stored it: it may be there for itself."""
    world.shelf.store("a/1.jpg", b"theirs")
    world.shelf.store("a/1~best.jpg", b"ours")
    world.meddled = True
    world.disk.write("a/1.jpg", b"ours")
    world.settle()
    assert world.troubles() == {"a/1.jpg": "conflict: the name is taken by other content"}


def test_nor_what_is_stored_beside_by_several(beside):
    beside.shelf.store("a/1~south.jpg", b"ours", by="mirror:another")
    lose_state(beside, on_conflict=OnConflict.KEEP, source="east")
    assert beside.troubles() == {"a/1.jpg": "conflict: the name is taken by other content"}
    lose_state(beside, source="north")
    assert beside.mirror.state.files.row("a/1.jpg").key == "a/1~north.jpg"
    assert beside.troubles() == {}


def test_nor_what_a_file_here_has_that_is_called_so(beside):
    """The name beside is another file's very own: each keeps what is its own."""
    beside.disk.write("a/1~north.jpg", b"ours")
    lose_state(beside, on_conflict=OnConflict.KEEP)
    assert beside.mirror.state.files.row("a/1~north.jpg").key == "a/1~north.jpg"
    assert beside.troubles() == {"a/1.jpg": "conflict: the name is taken by other content"}
    beside.check()


def test_two_that_have_one_item_beside_lose_nothing(beside):
    """As with any item that two mirrors have found by its content: removed for the one, it is
    stored again for the other."""
    beside.shelf.trash("a/1~north.jpg", by="mirror:another")
    hear(beside)
    assert beside.stored() == {"a/1.jpg": b"theirs", "a/1~north.jpg": b"ours"}
    beside.people.add(beside.shelf.store("a/1~north.jpg", b"new").digest)
    hear(beside)
    assert beside.troubles() == {"a/1.jpg": "conflict: changed at the remote"}
    resolve(beside, "both")
    assert sorted(beside.stored().values()) == [b"new", b"ours", b"theirs"]


def test_both_are_kept_without_sending_what_is_beside_already(torn):
    torn.shelf.store(f"a/1~{machine()}.jpg", b"edited")
    hear(torn)
    sent = torn.remote.sent
    assert resolve(torn, "both") == f"a/1.jpg: will be stored as a/1~{machine()}.jpg"
    assert torn.troubles() == {}
    assert torn.remote.sent == sent
    assert torn.stored() == {"a/1.jpg": b"theirs", f"a/1~{machine()}.jpg": b"edited"}
    torn.check()
