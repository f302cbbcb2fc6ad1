"""When a watched mirror looks again by itself: by the clock, with events and without them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import pytest

from syncd.daemon.watching import _Loop
from syncd.local.watch import Coverage, Watcher
from tests.engine.world import World

STEP_S = 5.0


@dataclass
class Deaf:
    """A watcher that never hears of anything."""

    coverage: Coverage

    def start(self) -> Coverage:
        return self.coverage

    def check(self) -> Coverage:
        return self.coverage


@dataclass
class Day:
    """A loop whose clock runs as fast as it can, and when it did what."""

    world: World
    until: float
    did: dict[str, list[float]] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def tick(self) -> None:
        if self.world.clock.seconds >= self.until:
            self.stop.set()

    def wait_for(self, _: float) -> float:
        self.world.clock.advance(STEP_S)
        while self.world.pool.waiting:
            self.world.pool.run(0)
            self.world.pool.deliver(0)
        return 0.0

    def noting(self, name: str, real: Any) -> Any:
        times = self.did.setdefault(name, [])

        def noted() -> None:
            times.append(self.world.clock.seconds)
            real()

        return noted

    def gaps(self, name: str) -> list[float]:
        times = self.did[name]
        return [later - sooner for sooner, later in pairwise(times)]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "world")
    yield made
    made.crash()


@pytest.fixture
def live(world, monkeypatch):
    """`live(coverage, seconds)`: the loop's day, from its start."""

    def run(coverage: Coverage, seconds: float) -> Day:
        day = Day(world, world.clock.seconds + seconds)
        loop = _Loop(
            world.mirror, cast(Watcher, Deaf(coverage)), world.options, world.folder / "state"
        )
        with monkeypatch.context() as patch:
            patch.setattr(world.mirror, "wait_for", day.wait_for)
            for part, act in ((world.mirror, "sweep"), (world.mirror.comparison, "want")):
                patch.setattr(part, act, day.noting(act, getattr(part, act)))
            loop.run(day.stop, day)
        return day

    return run


def hourly(gap: float) -> bool:
    return 2700 <= gap <= 4500 + 2 * STEP_S


def test_with_events_it_sweeps_and_compares_hourly_with_jitter(live):
    day = live(Coverage(events=True), 5 * 3600)
    for name in ("sweep", "want"):
        assert len(day.gaps(name)) >= 2
        assert all(map(hourly, day.gaps(name))), (name, day.gaps(name))
    assert len(set(day.gaps("sweep"))) > 1, "always the same time"


def test_without_events_it_scans_often_and_compares_hourly_all_the_same(live, expect_log):
    expect_log("scanning instead of watching reason=no room")
    day = live(Coverage(events=False, reason="no room"), 4 * 3600)
    assert max(day.gaps("sweep")) <= 21 * STEP_S, "twenty times what a scan takes, a step"
    assert 2 <= len(day.did["want"]) <= 6
    assert all(map(hourly, day.gaps("want"))), day.gaps("want")


def test_without_events_a_file_is_found_by_the_scan_alone(live, world, expect_log):
    expect_log("scanning instead of watching")
    live(Coverage(events=False, reason="no room"), 60)
    world.disk.deaf = 1
    world.disk.write("a/new.jpg", b"new")
    assert world.shelf.present() == []
    live(Coverage(events=False, reason="no room"), 60)
    assert [item.key for item in world.shelf.present()] == ["a/new.jpg"]
