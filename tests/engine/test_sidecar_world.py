"""Whole histories of a folder with sidecars: at the end the remote has what they say.

The histories are those of the mirror itself with sidecars written, broken, moved and deleted in
between; `check` of the world holds for the files all the while.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings

from syncd.engine.options import Options
from syncd.model import Layout
from tests.conftest import SEED
from tests.engine.acts import LOCAL, MIRROR, PATHS, REMOTE, ROUGH, Acts, made_by
from tests.engine.annotated import says, sidecar
from tests.engine.test_world import LAYOUTS, _unsaid, histories
from tests.engine.world import Act, World

__all__ = ["_unsaid"]

pytestmark = pytest.mark.timeout(300)
"""A history writes real state files, and each of them waits for the disk some twenty times."""

SIDE = ("say", "say", "say", "say_other", "say_nothing", "unsay", "unsay")
SIDEWAYS = ("along", "along", "astray")
STILL = ("write", "write", "write", "overwrite", "replace", "touch")
STEADY = (*STILL, *SIDE, *MIRROR, "crash", "crash_within", "restart", "fault", "lose_hints")
ALL = (*LOCAL, *SIDE, *SIDE, *SIDEWAYS, *MIRROR, *MIRROR, *REMOTE, *ROUGH)


class Sides(Acts):
    """What may happen to sidecars."""

    def say(self, i: int, j: int) -> None:
        """Beside a picture, or where there may be one later."""
        path = self._pick(i) if j % 4 else PATHS[i % len(PATHS)]
        if path and self._room(path):
            operation = (None, None, "p", "q")[j % 4]
            text = sidecar(str(self.world.disk.tick()), operation=operation)
            self.world.disk.write(f"{path}.json", text)

    def say_other(self, i: int, j: int) -> None:
        if path := self._side(i):
            self.world.disk.write(path, b'{"exif": %d}' % self.world.disk.tick())

    def say_nothing(self, i: int, j: int) -> None:
        """As one that was cut short."""
        if path := self._side(i):
            self.world.disk.write(path, b'{"images": %d' % self.world.disk.tick())

    def unsay(self, i: int, j: int) -> None:
        if path := self._side(i):
            self.world.disk.delete(path)

    def along(self, i: int, j: int) -> None:
        """A picture and its sidecar get another name together."""
        old, new = self._pick(i), PATHS[j % len(PATHS)]
        free = (
            self._room(new) and not self._at(new).exists() and not self._at(f"{new}.json").exists()
        )
        if old and free and self._at(f"{old}.json").exists():
            for end in ("", ".json") if i % 2 else (".json", ""):
                self.world.disk.move(f"{old}{end}", f"{new}{end}")

    def astray(self, i: int, j: int) -> None:
        old, new = self._side(i), self._pick(j)
        if old and new:
            self.world.disk.move(old, f"{new}.json")

    def _side(self, i: int) -> str | None:
        found = sorted(path.relative_to(self.world.root).as_posix() for path in sides(self.world))
        return found[i % len(found)] if found else None


def sides(world: World) -> list[Path]:
    return [path for path in world.root.rglob("*.jpg.json") if path.is_file()]


def said(path: Path) -> dict[str, list[str]] | None:
    """What a sidecar says, by operation; None for what is none."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return None
    if "images" not in found:
        return None
    by: dict[str, list[str]] = {}
    for one in found["images"][0]["annotations"]:
        by.setdefault(one.get("operation_unique_id", "folder:root"), []).append(one["label"])
    return by


def check(world: World, *, exact: bool) -> None:
    """Each sidecar beside a picture that is in sync is what the remote has; where nothing ever
    moved, there is nothing else."""
    there, troubles = says(world), world.troubles()
    expected: dict[str, dict[str, list[str]]] = {}
    broken = set()
    for path in sides(world):
        picture = path.relative_to(world.root).as_posix().removesuffix(".json")
        row = world.mirror.state.files.row(picture)
        if row is None or row.gone or row.receipt is None or picture in troubles:
            continue
        by = said(path)
        if by is None:
            broken.add(row.receipt.key)
            continue
        expected[row.receipt.key] = by
        for operation, labels in by.items():
            assert there.get(row.receipt.key, {}).get(operation) == labels, picture
    if exact:
        assert {key: by for key, by in there.items() if key not in broken} == expected
    assert world.mirror.sidecars.idle
    waiting = [t for t in world.mirror.state.sidecars.troubles() if t.retry_ns is not None]
    assert not waiting


@contextmanager
def world(layout: Layout, **more) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    made = World(folder, Options(layout=layout, source="me"), **more)
    try:
        yield made
    finally:
        made.crash()
        shutil.rmtree(folder)


def play(history: Sequence[Act], layout: Layout, *, exact: bool) -> tuple[object, ...]:
    random.seed(0)  # the engine's jitter
    with world(layout) as made:
        Sides(made).run(history)
        made.finish()
        made.check()
        check(made, exact=exact)
        return (says(made), *made.end())


@settings(max_examples=80)
@given(histories(STEADY, 40), LAYOUTS)
def test_the_remote_has_just_what_the_sidecars_say(history, layout):
    play(history, layout, exact=True)


@settings(max_examples=80)
@given(histories(ALL, 50), LAYOUTS)
def test_whatever_happens_every_sidecar_is_set(history, layout):
    play(history, layout, exact=False)


@pytest.mark.parametrize("number", range(20))
def test_long_histories_twice_the_same(number):
    seed = SEED + number
    print(f"seed {seed}")
    history = made_by(seed, 150, ALL)
    layout = list(Layout)[seed % 3]
    assert play(history, layout, exact=False) == play(history, layout, exact=False)
