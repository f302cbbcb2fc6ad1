"""Mirrors exchanged, looked after and told to end, without a wait in the thread that does it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from syncd.config.places import places
from syncd.daemon import fleet as fleets
from syncd.daemon import watching
from syncd.daemon.fleet import OPEN_S, STALL_S, Fleet
from syncd.daemon.remote import Found
from syncd.daemon.roster import Duty
from syncd.daemon.watching import Watching
from syncd.engine.opening import Target
from syncd.engine.options import Options
from syncd.errors import ConfigError, TransientError
from syncd.model import Layout
from tests.e2e.program import eventually


class Watched:
    """A mirror's thread that ends when the test says so."""

    def __init__(self, *args, **calls):
        self.tried = time.monotonic()
        self.error = None
        self.begun = self.told = self.gone = False

    def start(self):
        assert not self.begun, "a thread begins once"
        self.begun = True

    def stop(self):
        self.told = True

    def join(self, timeout=None):
        assert timeout is not None, "waits for ever"
        return self.gone or not self.begun


class Connected:
    """A client that makes no connection, and refuses one name."""

    def __init__(self, name, *, where, token):
        if name == "bad":
            raise ConfigError("no such remote")
        self.places, self.remote, self.revive = where, None, None

    def close(self):
        pass


@pytest.fixture
def fleet(home, monkeypatch):
    monkeypatch.setattr(fleets, "Watching", Watched)
    monkeypatch.setattr(fleets, "Client", Connected)
    unsaid: Any = lambda mirror, client: None  # noqa: E731
    return Fleet(places(), unsaid, lambda: None, again_s=10.0)


@pytest.fixture
def duty(tmp_path):
    target = Target(root=tmp_path, remote="r", dataset="d", options=Options())
    return Duty(target=target, found=Found(name="r", url="http://127.0.0.1:1", token=""))


@pytest.fixture
def changed(duty):
    return replace(duty, target=replace(duty.target, options=Options(layout=Layout.FLAT)))


def test_a_changed_mirror_begins_once_the_one_before_has_ended(fleet, duty, changed):
    fleet.assign([duty])
    before = fleet.members[0].watching
    fleet.assign([changed])
    after = fleet.members[0].watching
    fleet.tick()
    assert (before.told, after.begun) == (True, False)
    before.gone = True
    fleet.tick()
    assert after.begun


def test_one_that_changes_again_while_it_waits_begins_once(fleet, duty, changed):
    fleet.assign([duty])
    before = fleet.members[0].watching
    for duties in ([changed], [], [changed], [duty], [changed]):
        fleet.assign(duties)
    last = fleet.members[0].watching
    before.gone = True
    fleet.tick()
    fleet.tick()
    assert last.begun


def test_a_remote_that_cannot_be_had_changes_nothing(fleet, duty, changed):
    fleet.assign([duty])
    kept = fleet.members[0]
    bad = replace(duty, found=Found(name="bad", url=None, token=""))
    with pytest.raises(ConfigError):
        fleet.assign([changed, bad])
    assert fleet.members == [kept]
    assert not kept.watching.told


def test_an_opening_without_end_is_no_life(fleet, duty):
    fleet.assign([duty])
    [member] = fleet.members
    member.watching.tried -= STALL_S + 1
    assert fleet.alive, "an opening may take its time"
    member.watching.tried -= OPEN_S
    assert not fleet.alive
    member.watching.tried = time.monotonic()
    assert fleet.alive


def test_each_new_try_to_open_is_a_sign_of_life(duty, tmp_path, monkeypatch, expect_log):
    expect_log("remote not reachable")

    def away(*args, **more):
        raise TransientError("away")

    monkeypatch.setattr(watching, "opened", away)
    nothing: Any = lambda *_: None  # noqa: E731
    watched = Watching(
        duty.target, nothing, tmp_path, revive=lambda: None, ready=nothing, ended=nothing
    )
    assert watched.join(0), "one that never began is waited for by nobody"
    watched.start()
    first = eventually(lambda: watched.tried)
    try:
        eventually(lambda: watched.tried > first + 0.5)
    finally:
        watched.stop()
        assert watched.join(5)


def test_all_are_told_to_end_before_one_is_waited_for(fleet, duty, monkeypatch):
    monkeypatch.setattr(fleets, "STOP_S", 0.0)
    fleet.assign([duty])
    fleet.cease()
    [member] = fleet.members
    assert member.watching.told
    assert not fleet.stop()
    member.watching.gone = True
    assert fleet.stop()
