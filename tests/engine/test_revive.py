"""A push whose remote died: it is started again where that is ours to do, and asked again."""

from __future__ import annotations

import pytest

from syncd.errors import StateError, TransientError
from syncd.remotes import memory
from syncd.remotes.memory import Fault
from tests.engine.test_push import run


@pytest.fixture
def world(make_world, allow_log):
    allow_log("remote away")
    made = make_world(removes=False)
    for n in range(3):
        made.disk.write(f"{n}.jpg")
    return made


def failing(world, fault):
    world.remote.trouble = lambda request: fault


def test_it_goes_on_with_one_that_was_started_again(world):
    failing(world, Fault.UNREACHABLE)
    report = run(world, revive=lambda: failing(world, None))
    assert (report.uploaded, report.success, report.away) == (3, True, None)
    world.check()


def test_it_is_tried_once_for_each_time_it_was_asked_in_vain(world):
    failing(world, Fault.UNREACHABLE)
    tried = []

    def fail():
        tried.append(world.mirror.state.meta.get("away")["tries"])
        raise StateError("the embedded hub did not start")

    assert run(world, revive=fail).away == "does not answer: connection refused"
    assert tried == [1, 2, 3]


def test_one_that_is_only_slow_gets_no_rival(world, monkeypatch):
    late = TransientError("does not answer: timed out", late=True)
    monkeypatch.setitem(memory._ERRORS, Fault.UNREACHABLE, lambda: late)
    failing(world, Fault.UNREACHABLE)
    tried = []
    assert run(world, revive=lambda: tried.append(True)).away == late.message
    assert tried == []
