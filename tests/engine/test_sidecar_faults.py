"""Sidecars when things go wrong: kills, remotes that fail, files that are being written."""

from __future__ import annotations

import json

import pytest

from syncd.errors import DeniedError
from syncd.remotes.memory import Fault
from tests.engine.annotated import OWN, calls, rendered, says, sidecar
from tests.engine.test_push import run
from tests.engine.world import Crash, LatePool


def test_the_state_file_is_lost(annotated):
    annotated.crash()
    annotated.forget_state()
    annotated.start()
    annotated.finish()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}
    assert "annotate" not in calls(annotated)
    annotated.disk.delete("a/1.jpg.json")
    annotated.finish()
    assert says(annotated) == {}


def test_a_restored_remote_gets_them_again(annotated, allow_log):
    allow_log("paused")
    annotated.shelf.sets.clear()
    annotated.shelf.put_back(annotated.shelf.backup(), "restored")
    annotated.approving = True
    annotated.finish()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}


@pytest.mark.parametrize("text", [sidecar("dog"), None])
def test_a_picture_that_turns_out_to_be_lost_is_sent_again(annotated, text, allow_log):
    allow_log("failed path")
    annotated.shelf.vanish("a/1.jpg")
    if text:
        annotated.disk.write("a/1.jpg.json", text)
    else:
        annotated.disk.delete("a/1.jpg.json")
    annotated.settle()
    assert len(annotated.stored()) == 1
    assert says(annotated) == ({"a/1.jpg": {OWN: ["dog"]}} if text else {})


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.LOST, Fault.BROKEN, Fault.GARBLED])
def test_a_remote_that_fails_for_a_while(world, fault, allow_log):
    allow_log("failed path|remote away")
    for n in range(5):
        world.disk.write(f"{n}.jpg")
    world.settle()
    for n in range(5):
        world.disk.write(f"{n}.jpg.json", sidecar("cat"))
    world.faults += [fault] * 4
    world.settle()
    assert says(world) == {f"{n}.jpg": {OWN: ["cat"]} for n in range(5)}
    assert world.mirror.state.sidecars.troubles() == []
    assert world.mirror.state.meta.get("away") is None


def test_refused_credentials_end_it(world, allow_log):
    allow_log("failed path")
    world.disk.write("1.jpg")
    world.settle()
    world.remote.trouble = lambda r: Fault.DENIED if r.call == "annotate" else None
    world.disk.write("1.jpg.json", sidecar("cat"))
    for _ in range(8):
        world.mirror.turn(0.0)
        world.pool.run(0)
        world.pool.deliver(0)
        if world.mirror.settlement.denied:
            break
    assert isinstance(world.mirror.settlement.denied, DeniedError)
    world.remote.trouble = lambda request: None
    world.restart()
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_killed_anywhere_it_comes_to_the_same_end(make_world):
    """At every job there is, just before it and with its answer lost."""
    for at in range(6):
        for lost in (False, True):
            world = make_world()
            world.disk.write("1.jpg")
            world.disk.write("1.jpg.json", sidecar("cat", operation="project"))
            _run_jobs(world, at)
            if lost:
                world.pool.run(0)
            world.crash()
            world.start()
            world.finish()
            assert says(world) == {"1.jpg": {"project": ["cat"]}}, (at, lost)
            world.disk.delete("1.jpg.json")
            world.turn()
            _run_jobs(world, at)
            if lost:
                world.pool.run(0)
            world.crash()
            world.start()
            world.finish()
            assert says(world) == {}, (at, lost)


def _run_jobs(world, number):
    for _ in range(number):
        world.turn()
        world.clock.advance(1.0)
        world.pool.run(0)
        world.pool.deliver(0)
    world.turn()


def test_killed_with_a_changed_copy_on_its_way_it_knows_what_it_brought(world):
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat", operation="p"))
    world.settle()
    shown = json.loads(rendered(world, "1.jpg"))
    world.disk.delete("1.jpg.json")
    world.settle()
    assert says(world) == {}
    world.disk.write("1.jpg.json", json.dumps(shown).encode())
    while not says(world):
        world.turn()
        world.pool.run(0)
        if not says(world):
            world.pool.deliver(0)
    world.crash()  # it is at the remote, and nobody heard so
    world.start()
    world.finish()
    world.disk.delete("1.jpg.json")
    world.finish()
    assert says(world) == {}


def test_killed_the_moment_it_was_sent_it_knows_as_well(world, monkeypatch):
    """The remote may have it before this turn has ended."""
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat", operation="p"))
    world.settle()
    shown = rendered(world, "1.jpg")
    world.disk.delete("1.jpg.json")
    world.settle()
    give = LatePool.give

    def carried_out(pool, job):
        give(pool, job)
        if getattr(job, "parcels", ()) and not says(world):
            pool.run(0)
            raise Crash

    monkeypatch.setattr(LatePool, "give", carried_out)
    world.restart()
    world.disk.write("1.jpg.json", shown)
    while not says(world):
        world.turn()
        world.pool.run(0)
        world.pool.deliver(0)
    world.finish()
    world.disk.delete("1.jpg.json")
    world.finish()
    assert says(world) == {}


def test_killed_in_a_push_the_next_push_goes_on(make_world):
    world = make_world(removes=False)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat"))
    while not any(getattr(job, "parcels", ()) for job in world.pool.given):
        world.turn()
        if not any(getattr(job, "parcels", ()) for job in world.pool.given):
            world.pool.run(0)
            world.pool.deliver(0)
    world.crash()
    world.start()
    assert run(world).success
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_changed_while_it_was_read(annotated):
    annotated.disk.write("a/1.jpg.json", sidecar("dog"))
    annotated.turn()
    annotated.pool.run(0)
    annotated.disk.write("a/1.jpg.json", sidecar("bird"))
    annotated.turn()
    annotated.pool.deliver(0)
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {OWN: ["bird"]}}


def test_one_that_is_being_written_is_had_whole(world):
    world.disk.write("1.jpg")
    world.settle()
    with world.disk.at("1.jpg.json").open("wb") as file:
        file.write(sidecar("cat")[:40])
        file.flush()
        world.disk.hint("1.jpg.json")
        for _ in range(3):
            world.turn()
            world.pool.run(0)
            world.pool.deliver(0)
        assert world.mirror.state.sidecars.at("1.jpg.json").kind == "unread"
        file.write(sidecar("cat")[40:])
    world.disk.hint("1.jpg.json")
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_a_root_that_is_gone_takes_nothing_away(annotated, allow_log):
    allow_log("paused|resumed")
    annotated.root.rename(annotated.root.with_name("aside"))
    annotated.disk.hint("a/1.jpg.json", "a/1.jpg", "a")
    for _ in range(5):
        annotated.clock.advance(2.0)
        annotated.turn()
    annotated.root.with_name("aside").rename(annotated.root)
    annotated.finish()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}
    assert "annotate" not in calls(annotated)
