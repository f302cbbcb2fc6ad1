"""Fixtures of the engine's tests: worlds, closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from syncd.engine.options import Options
from tests.engine.annotated import OWN, says, sidecar
from tests.engine.world import World


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """`make_world(kind=..., removes=..., **options)`: a world with files to come."""
    made: list[World] = []
    numbers = count()

    def make(**given: Any) -> World:
        own = {name: given.pop(name) for name in ("kind", "removes", "traits") if name in given}
        made.append(World(tmp_path / str(next(numbers)), Options(**given), **own))
        return made[-1]

    yield make
    for world in made:
        world.crash()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def annotated(world: World) -> World:
    """A picture with its sidecar, both settled."""
    world.disk.write("a/1.jpg")
    world.disk.write("a/1.jpg.json", sidecar("cat"))
    world.settle()
    assert says(world) == {"a/1.jpg": {OWN: ["cat"]}}
    world.requests.clear()
    return world
