"""What a mirror answers to an order: true, of this number of files, and when it will be."""

from __future__ import annotations

from syncd.engine.commands import carry_out


def say(world, *words, **given):
    return world.tell(lambda mirror: carry_out(mirror, words, **given))


def test_a_retry_says_of_how_many_files_it_is(world):
    world.shelf.store("1.jpg", b"theirs")
    world.meddled = True
    world.disk.write("1.jpg", b"ours")
    world.settle()
    assert say(world, "retry") == "1 file is tried again"
