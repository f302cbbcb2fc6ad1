"""Whole histories of a mirror, by Hypothesis and by seeds: at the end every file is stored under a
key of its own, byte-equal, or listed with a reason; and nothing of anybody else's was touched.

`World.check` says what must hold; `Watched` objects to every single write that must not be.
"""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.engine.options import Options
from syncd.errors import StateError
from syncd.model import Layout, OnConflict
from syncd.remotes.memory import PlainDataset
from tests.conftest import SEED
from tests.engine.acts import LOCAL, MIRROR, REMOTE, ROUGH, Acts, made_by
from tests.engine.test_push import run
from tests.engine.world import Act, World

pytestmark = pytest.mark.timeout(300)
"""A history writes real state files, and each of them waits for the disk some twenty times."""

QUIET = (*LOCAL, *MIRROR, *MIRROR)
PEOPLE = (*QUIET, *REMOTE)
ALL = (*PEOPLE, *ROUGH)
MOVES = ("rename_free", "rename_free", "swap", "rename_folder", "lose_hints", "rotate")


@pytest.fixture(autouse=True)
def _unsaid() -> Iterator[None]:
    """Faults are the business of these tests, and a history logs thousands of lines."""
    logger = logging.getLogger("syncd")
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(logging.NOTSET)


@contextmanager
def world(layout: Layout = Layout.FIRST_LEVEL, **more) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    made = World(folder, Options(layout=layout, source="me", **more.pop("options", {})), **more)
    try:
        yield made
    finally:
        made.crash()
        shutil.rmtree(folder)


def play(history: Sequence[Act], layout: Layout, **more) -> tuple[object, ...]:
    random.seed(0)  # the engine's jitter
    with world(layout, **more) as made:
        Acts(made).run(history)
        made.finish()
        made.check()
        return made.end()


def histories(names: Sequence[str], size: int) -> st.SearchStrategy[list[Act]]:
    number = st.integers(0, 99)
    return st.lists(st.tuples(st.sampled_from(names), number, number), max_size=size)


LAYOUTS = st.sampled_from(list(Layout))


@settings(max_examples=100)
@given(histories(QUIET, 40), LAYOUTS)
def test_the_dataset_is_the_folder_as_the_layout_has_it(history, layout):
    play(history, layout)


@settings(max_examples=100)
@given(histories(PEOPLE, 40), LAYOUTS, st.sampled_from(list(OnConflict)))
def test_what_people_did_at_the_remote_is_left_alone(history, layout, on_conflict):
    play(history, layout, options={"on_conflict": on_conflict})


@settings(max_examples=100)
@given(histories(ALL, 40), LAYOUTS)
def test_whatever_fails_and_whenever_the_process_ends(history, layout):
    play(history, layout)


@settings(max_examples=40)
@given(histories((*QUIET, *ROUGH), 30), LAYOUTS)
def test_with_a_remote_that_can_do_the_least(history, layout):
    play(history, layout, kind=PlainDataset)


@settings(max_examples=60)
@given(histories(("write",), 15), histories(MOVES, 12), LAYOUTS)
def test_names_change_without_bytes_and_items_keep_their_ids(files, moves, layout):
    with world(layout) as made:
        acts = Acts(made)
        acts.run([(name, i, 0) for name, i, j in files])  # no two of one content
        made.settle()
        before = {content: made.id_of(path) for path, content in made.files().items()}
        sent = made.remote.sent
        acts.run(moves)
        made.sweep()  # No hint is lost but a doubt is raised.
        made.finish()
        made.check()
        assert {content: made.id_of(path) for path, content in made.files().items()} == before
        assert made.remote.sent == sent


@pytest.mark.parametrize("number", range(60))
def test_long_histories_twice_the_same(number):
    seed = SEED + number
    print(f"seed {seed}")
    layout = list(Layout)[seed % 3]
    history = made_by(seed, 120, ALL)
    assert play(history, layout) == play(history, layout)


@pytest.mark.parametrize("number", range(40))
def test_a_push_of_some_files_ends_and_leaves_the_rest_for_later(number):
    """In any layout, whatever the mirror was about to do."""
    seed = SEED + number
    print(f"seed {seed}")
    random.seed(0)
    rng, layout = random.Random(seed), list(Layout)[seed % 3]
    with world(layout) as made:
        Acts(made).run(made_by(seed, 60, QUIET))
        now = made.files()
        names = tuple(rng.sample(sorted(now), min(len(now), rng.choice((1, 1, 2, 3)))))
        made.removes = False
        made.restart(Options(layout=rng.choice(list(Layout)), source="me"), names)
        with suppress(StateError):  # all is gone, and that is asked about
            report = run(made, names)
            assert report.attempted >= len(names)  # and those that names were handed on to
            assert report.failed == ()
            stored = set(made.stored().values())
            assert all(now[name] in stored for name in names)
        made.removes = True
        made.restart(Options(layout=layout, source="me"))
        made.finish()
        made.check()


@pytest.mark.parametrize("number", range(20))
def test_what_a_scout_tells_changes_nothing(number):
    seed = SEED + number
    print(f"seed {seed}")
    layout = list(Layout)[seed % 3]
    history = made_by(seed, 120, ALL)
    assert play(history, layout, scouted=True) == play(history, layout)
