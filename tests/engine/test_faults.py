"""A remote that is away, broken, slow or wrong: waited for by class, and nothing claimed."""

from __future__ import annotations

import random

import pytest

from syncd.engine.commands import carry_out
from syncd.errors import DeniedError
from syncd.model import OnDelete
from syncd.remotes.base import Traits
from syncd.remotes.memory import Fault

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def _announced(allow_log):
    allow_log("remote away|failed path|comparison broken off")


def calls(world, call):
    return [request for request in world.requests if request.call == call]


def away(world):
    return world.mirror.state.meta.get("away")


def step(world):
    """One turn with all that workers do about it."""
    world.turn()
    while world.pool.waiting:
        world.pool.run(0)
        world.pool.deliver(0)
        world.turn()


def test_a_remote_that_is_away_is_asked_ever_less_often_and_not_file_by_file(world):
    for n in range(50):
        world.disk.write(f"{n}.jpg")
    world.faults += [Fault.UNREACHABLE] * 6
    world.settle()
    world.check()
    assert len(calls(world, "put")) == 7
    assert 63 <= world.clock.seconds <= 63 * 1.26
    assert away(world) is None


def test_the_wait_is_kept_over_a_restart(world):
    world.disk.write("1.jpg")
    world.faults += [Fault.UNREACHABLE]
    step(world)
    world.clock.advance(2)
    world.faults += [Fault.UNREACHABLE]
    step(world)
    assert away(world)["tries"] == 2
    until = away(world)["until_ns"]
    world.restart()
    asked = len(calls(world, "put"))
    step(world)
    assert len(calls(world, "put")) == asked
    assert world.mirror.wait_for(60) == pytest.approx((until - world.clock.ns) / SECOND, abs=0.01)
    world.settle()
    world.check()


def test_retry_after_is_heeded(world):
    world.disk.write("1.jpg")
    world.faults += [Fault.BUSY]
    step(world)
    assert 7.0 <= (away(world)["until_ns"] - world.clock.ns) / SECOND <= 7.0 * 1.25 + 0.01
    world.settle()
    world.check()


def test_a_read_does_not_tell_that_the_remote_is_back(world):
    world.disk.write("1.jpg")
    world.settle()
    world.faults += [Fault.UNREACHABLE]
    world.disk.write("2.jpg")
    world.turn()
    world.clock.advance(3)
    world.disk.write("1.jpg", b"changed, to be read")
    world.turn()
    assert [job.verb.value for job in world.pool.given] == ["put", "read"]
    world.pool.run(0)
    world.pool.deliver(0)
    world.turn()
    assert away(world)
    world.pool.run(0)
    world.pool.deliver(0)
    world.turn()
    assert away(world)
    world.settle()
    world.check()


class Poison:
    """The remote cannot answer for one key."""

    def __init__(self, world, *keys, fault=Fault.BROKEN):
        self._keys = set(keys)
        self._fault = fault
        world.remote.trouble = self
        self.batches = []

    def __call__(self, request):
        if request.call != "put":
            return None
        self.batches.append(len(request.about))
        return self._fault if self._keys & set(request.about) else None


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.REJECTED])
def test_one_file_that_cannot_pass_does_not_hold_up_the_others(world, fault):
    poison = Poison(world, "077.jpg", fault=fault)
    for n in range(200):
        world.disk.write(f"{n:03}.jpg")
    for _ in range(60):
        step(world)
        world.clock.advance(0.05)
    assert len(world.stored()) == 199
    assert list(world.troubles()) == ["077.jpg"]
    assert poison.batches[:6] == [200, 100, 100, 50, 50, 25]
    world.remote.trouble = lambda request: None
    world.tell(lambda mirror: carry_out(mirror, ["retry"]))
    world.settle()
    world.check()


def test_what_is_rejected_is_not_tried_again_before_something_changes(world):
    Poison(world, "1.jpg", fault=Fault.REJECTED)
    world.disk.write("1.jpg")
    world.settle()
    asked = len(calls(world, "put"))
    assert world.troubles() == {"1.jpg": "failed: HTTP status 422"}
    world.clock.advance(100_000)
    world.settle()
    assert len(calls(world, "put")) == asked
    world.remote.trouble = lambda request: None
    world.disk.write("1.jpg", b"another")
    world.settle()
    world.check()


def test_a_remote_that_cannot_answer_for_anything_is_away(world):
    Poison(world, *(f"{n:03}.jpg" for n in range(200)))
    for n in range(200):
        world.disk.write(f"{n:03}.jpg")
    for _ in range(30):
        step(world)
    assert away(world)
    world.remote.trouble = lambda request: None
    world.settle()
    world.check()


def test_refused_credentials_stop_everything_and_lose_nothing(world):
    world.disk.write("1.jpg")
    world.faults += [Fault.DENIED]
    world.turn()
    world.pool.run(0)
    world.pool.deliver(0)
    world.mirror.turn(0.0)
    assert isinstance(world.mirror.settlement.denied, DeniedError)
    world.restart()
    world.settle()
    world.check()


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.GARBLED])
def test_a_lost_answer_costs_a_comparison_and_no_bytes(world, fault):
    world.disk.write("1.jpg")
    world.faults += [fault]
    world.settle()
    world.check()
    assert world.remote.sent == 6
    assert world.shelf.find("1.jpg").version == 1


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.GARBLED])
def test_a_file_that_changes_after_a_lost_answer_is_no_conflict(world, fault):
    world.disk.write("1.jpg")
    world.settle()
    world.clock.advance(5)
    world.disk.write("1.jpg", b"second")
    world.turn()
    world.pool.run(0)
    world.pool.deliver(0)
    world.faults += [fault]
    step(world)
    world.disk.write("1.jpg", b"third")
    world.settle()
    world.check()
    assert world.stored() == {"1.jpg": b"third"}


def test_a_killed_process_that_had_sent_a_change_makes_no_conflict(world):
    world.disk.write("1.jpg")
    world.settle()
    world.disk.write("1.jpg", b"second")
    world.clock.advance(5)
    world.turn()
    world.pool.run(0)
    world.pool.deliver(0)
    world.turn()
    world.pool.run(0)
    assert world.stored() == {"1.jpg": b"second"}
    world.crash()
    world.disk.write("1.jpg", b"third")
    world.start()
    world.sweep()
    world.settle()
    assert world.troubles() == {}
    assert world.stored() == {"1.jpg": b"third"}


def test_content_that_goes_back_after_a_lost_answer(world):
    world.disk.write("1.jpg", b"first")
    world.settle()
    world.clock.advance(5)
    world.disk.write("1.jpg", b"second")
    world.turn()
    world.pool.run(0)
    world.pool.deliver(0)
    world.faults += [Fault.LOST]
    step(world)
    assert world.stored() == {"1.jpg": b"second"}
    world.disk.write("1.jpg", b"first")
    world.settle()
    assert world.stored() == {"1.jpg": b"first"}
    world.check()


def test_a_file_that_comes_back_after_the_answer_to_its_removal_was_lost(world):
    world.disk.write("1.jpg", b"first")
    world.settle()
    world.disk.move("1.jpg", ".aside")
    world.turn()
    world.clock.advance(3)
    world.faults += [Fault.LOST]
    step(world)
    assert not world.stored()
    world.disk.move(".aside", "1.jpg")
    world.settle()
    assert world.stored() == {"1.jpg": b"first"}


def test_a_file_that_goes_while_it_is_sent_leaves_nothing(world):
    world.disk.write("1.jpg")
    world.turn()
    world.pool.run(0)
    world.disk.delete("1.jpg")
    world.turn()
    world.pool.deliver(0)
    world.settle()
    world.check()
    assert not world.stored()
    assert world.mirror.state.files.row("1.jpg") is None


def test_a_file_that_changes_while_it_is_sent_is_sent_again(world):
    world.disk.write("1.jpg", b"first")
    world.turn()
    world.pool.run(0)
    world.disk.write("1.jpg", b"second")
    world.turn()
    world.pool.deliver(0)
    world.settle()
    world.check()
    assert world.stored() == {"1.jpg": b"second"}


def test_a_missing_dataset_is_no_reason_to_forget_what_was_to_be_removed(make_world):
    world = make_world(on_delete=OnDelete.TRASH)
    world.disk.write("1.jpg")
    world.settle()
    world.disk.delete("1.jpg")
    world.turn()
    world.clock.advance(3)
    world.faults += [Fault.MISSING]
    step(world)
    assert world.mirror.state.files.row("1.jpg") is not None
    world.settle()
    assert not world.stored()


def test_small_batches_for_a_remote_that_wants_them(make_world):
    world = make_world(traits=Traits(batch_files=7, batch_bytes=100))
    for n in range(20):
        world.disk.write(f"{n:02}.jpg", b"%02d" % n)
    for n in range(20, 24):
        world.disk.write(f"{n}.jpg", b"%060d" % n)
    world.settle()
    world.check()
    sizes = [len(request.about) for request in calls(world, "put")]
    assert max(sizes) == 7
    assert sizes[-3:] == [1, 1, 1]


def test_a_clock_that_is_set_back_holds_nothing_up(world):
    world.disk.write("1.jpg")
    world.settle()
    world.disk.write("2.jpg")
    world.turn()
    world.faults += [Fault.UNREACHABLE]
    step(world)
    world.clock.ns -= 7200 * SECOND
    before = world.clock.seconds
    world.disk.write("3.jpg")
    world.settle()
    assert world.clock.seconds - before < 30
    world.check()


def test_a_clock_that_was_set_back_between_two_runs(world):
    world.disk.write("1.jpg")
    world.faults += [Fault.UNREACHABLE]
    step(world)
    world.crash()
    world.clock.ns -= 30 * 86_400 * SECOND
    world.start()
    before = world.clock.seconds
    world.settle()
    assert world.clock.seconds - before < 30
    world.check()


def test_rows_of_one_time_all_have_their_turn(world):
    random.seed(1)
    for n in range(1500):
        world.disk.fill(world.disk.at(f"{n}.jpg"), b"%d" % n)
    world.sweep()
    world.settle()
    world.check()
    assert len(world.stored()) == 1500
