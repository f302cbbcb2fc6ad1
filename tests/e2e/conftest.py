"""Fixtures of the end-to-end tests: the program on its own hub, or on the one all tests share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.program import Program, Running, Shelf
from tests.running import RunningHub


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A dataset of this test's own."""
    return re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def alone(home: Path) -> Iterator[Program]:
    """The program without any configuration: it starts a hub of its own."""
    program = Program(home)
    yield program
    program.end()


@pytest.fixture
def syncd(home: Path, hub: RunningHub) -> Iterator[Program]:
    """The program with the hub that all tests share: nothing has to be started."""
    program = Program(home, {"SYNCD_REMOTE": hub.url, "SYNCD_TOKEN": hub.token})
    yield program
    program.end()


@pytest.fixture
def shelf(hub: RunningHub, name: str) -> Shelf:
    """This test's dataset on the hub that all tests share."""
    return Shelf(hub.url, hub.token, name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(syncd: Program, root: Path, name: str) -> Callable[..., Running]:
    """`watched(*options)`: the program watches `root` into this test's dataset."""
    return lambda *options: syncd.watch(root, "--to", name, *options)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real processes take their time on a busy machine; a hang still ends."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
