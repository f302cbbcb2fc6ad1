"""Fixtures of the mount's tests: a real hub, a real dataset, a real mount."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mount.mounted import FILES, Mounted, Signs, reason, signs, start
from tests.running import RunningHub


@pytest.fixture(scope="session")
def fuse() -> None:
    """Skip, and say why, where nothing can be mounted."""
    why = reason()
    if why:
        pytest.skip(why)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A dataset of this test's own."""
    return re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def dataset(hub: RunningHub, name: str, tmp_path: Path) -> Iterator[Signs]:
    """This test's dataset on the hub that all tests share."""
    with signs(hub, name, tmp_path / "uploads") as mine:
        yield mine


@pytest.fixture
def own(start_hub: Callable[..., RunningHub], tmp_path: Path) -> Iterator[tuple[RunningHub, Signs]]:
    """A hub of the test's own, with a dataset."""
    hub = start_hub()
    with signs(hub, "signs", tmp_path / "uploads") as dataset:
        dataset.put(FILES)
        yield hub, dataset


@pytest.fixture
def mounts(fuse: None, tmp_path: Path) -> Iterator[Callable[..., Mounted]]:
    """`mounts(hub, "signs", "--xattrs", at="mnt")`: mount; whatever is left is taken away."""
    begun: list[Mounted] = []

    def begin(
        hub: RunningHub, *options: str, at: str = "mnt", home: str = "home", before: str = ""
    ) -> Mounted:
        begun.append(start(hub, tmp_path / home, tmp_path / at, *options, before=before))
        return begun[-1]

    yield begin
    for mounted in begun:
        mounted.clear()


@pytest.fixture
def mount(
    mounts: Callable[..., Mounted], hub: RunningHub, dataset: Signs, name: str
) -> Callable[..., Mounted]:
    """`mount("--xattrs")`: this test's dataset, mounted."""
    return lambda *options, before="": mounts(hub, *options, name, before=before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any) -> Generator[None, Any, Any]:
    """What the mounts of a failed test logged is part of its report."""
    report = yield
    if report.failed and "tmp_path" in item.funcargs:
        for log in item.funcargs["tmp_path"].glob("*/mount.log"):
            report.sections.append((str(log), log.read_text(errors="replace")[-4000:]))
    return report
