"""What a mirror answers to an order: true, of this number of files, and when it will be."""

from __future__ import annotations

import re
import shutil

from syncd.engine.commands import carry_out, rest


def say(world, *words, **given):
    return world.tell(lambda mirror: carry_out(mirror, words, **given))


def test_a_retry_says_of_how_many_files_it_is(world):
    world.shelf.store("1.jpg", b"theirs")
    world.meddled = True
    world.disk.write("1.jpg", b"ours")
    world.settle()
    assert say(world, "retry") == "1 file is tried again"


def test_an_approval_says_what_is_done_now(make_world, allow_log):
    allow_log("held back")
    world = make_world()
    for number in range(30):
        world.disk.write(f"{number}.jpg")
    world.settle()
    world.disk.delete(*(f"{number}.jpg" for number in range(22)))
    world.settle()
    held = world.mirror.state.meta.get("held")
    assert held["reason"] == "22 of 30 stored files are gone"
    said = say(world, "approve", held["plan"])
    assert said == "approved: the items of 22 files are removed now"
    world.settle()
    assert len(world.stored()) == 8


def test_without_a_daemon_an_approval_is_for_the_next_watch(world, allow_log):
    allow_log("paused")
    world.shelf.put_back(world.shelf.backup(), "second")
    world.hear()
    world.turn()
    said = say(world, "approve", world.mirror.state.meta.get("gate")["plan"], running=False)
    compared = "everything is compared with the restored remote"
    assert said == f"approved: {compared} at the next watch"


def test_another_folder_that_is_approved_is_mirrored(world, allow_log):
    allow_log("paused")
    shutil.rmtree(world.root)
    world.root.mkdir()
    world.finish()
    said = say(world, "approve", world.mirror.state.meta.get("gate")["plan"])
    assert said == "approved: the folder that is there is mirrored now"


def test_a_pause_says_when_it_ends_and_is_ended_once(world):
    world.disk.write("1.jpg")
    assert re.fullmatch(
        r"paused until .*\d\d:\d\d, or until syncd resume; what changes is noted",
        str(say(world, "pause", "3600.0")),
    )
    for _ in range(5):
        world.turn()
    assert not world.pool.given
    assert say(world, "resume") == "resumed"
    assert say(world, "resume") == "is not paused"
    world.settle()
    assert world.stored()


def test_to_resume_what_is_not_paused_does_not_end_another_rest(world):
    rest(world.mirror, "outside of its active hours")
    assert say(world, "resume") == "is not paused"
    assert world.mirror.resting
