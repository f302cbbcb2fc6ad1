"""The floor every test stands on: an own home, guards against leaks and noise, and fixtures.

Nothing here is asked for by a test to be safe: the guards are on for all of them. The fixtures
`tree`, `hub`, `start_hub`, `expect_log` and `allow_log` are for asking.
"""

from __future__ import annotations

import logging
import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import guards, isolation
from tests.running import RunningHub, start

# What CI says of a change must not hang on chance; every other run looks somewhere new.
IN_CI = "CI" in os.environ
SEED = int(
    os.environ.get("TEST_SEED") or (1 if IN_CI else random.SystemRandom().randrange(1 << 32))
)
os.environ["TEST_SEED"] = str(SEED)  # the processes of `--numprocesses` inherit it
HOMES = Path(tempfile.mkdtemp(prefix="syncd-tests-"))  # short: sockets live below it

settings.register_profile(
    "syncd",
    deadline=None,
    derandomize=IN_CI,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("syncd")
_numbers = count()


def pytest_configure(config: pytest.Config) -> None:
    isolation.stay_on_loopback()
    # A shell ignores Ctrl-C for what it starts in the background, and so would all that is tested.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    return f"random seed: {SEED} (TEST_SEED={SEED} repeats it)"


def pytest_unconfigure() -> None:
    shutil.rmtree(HOMES, ignore_errors=True)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This test's own HOME, with the XDG folders below it; the guards stand around it."""
    folder = HOMES / str(next(_numbers))
    random.seed(SEED)
    folders = tmp_path_factory.getbasetemp()
    with isolation.at_home(folder), guards.guarded(folder, folders) as left:
        yield folder
    shutil.rmtree(folder, ignore_errors=True)
    if left:
        pytest.fail("this test left behind: " + "; ".join(left), pytrace=False)


class Announced(logging.Handler):
    """Warnings and worse of syncd's loggers that no test announced."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.expected: list[re.Pattern[str]] = []
        self.allowed: list[re.Pattern[str]] = []
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    def problems(self) -> list[str]:
        known = [*self.expected, *self.allowed]
        surprises = [text for text in self.records if not any(p.search(text) for p in known)]
        missing = [
            f"never logged: {pattern.pattern}"
            for pattern in self.expected
            if not any(map(pattern.search, self.records))
        ]
        return [f"not announced: {text}" for text in surprises] + missing


@pytest.fixture(autouse=True)
def announced(home: Path) -> Iterator[Announced]:
    handler = Announced()
    logger = logging.getLogger("syncd")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    if problems := handler.problems():
        pytest.fail("; ".join(problems), pytrace=False)


@pytest.fixture
def expect_log(announced: Announced) -> Callable[[str], None]:
    """`expect_log(regex)`: a matching warning or worse must be logged by the end of the test.

    The pattern is searched in `LEVEL logger: message`.
    """
    return lambda pattern: announced.expected.append(re.compile(pattern))


@pytest.fixture
def allow_log(announced: Announced) -> Callable[[str], None]:
    """`allow_log(regex)`: a matching warning may be logged; for what timing decides."""
    return lambda pattern: announced.allowed.append(re.compile(pattern))


Tree = Mapping[str, "bytes | str | Tree"]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """`tree({"a/b.jpg": b"..", "c": {"d.png": ".."}}, root=None)`: make files, return the root."""

    def make(files: Tree, root: Path | None = None) -> Path:
        folder = root or tmp_path / "tree"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _make(folder / name, content)
        return folder

    def _make(path: Path, content: bytes | str | Tree) -> None:
        if isinstance(content, Mapping):
            make(content, path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return make


@pytest.fixture(scope="session")
def hub() -> Iterator[RunningHub]:
    """A real hub that all tests of a run share: use a dataset name of your own, never harm it."""
    running = start(HOMES / "hub")
    yield running
    running.stop()


@pytest.fixture
def start_hub(tmp_path: Path) -> Iterator[Callable[..., RunningHub]]:
    """`start_hub(*options)`: a hub of the test's own, to be killed, frozen or filled."""
    started: list[RunningHub] = []

    def begin(*options: str) -> RunningHub:
        started.append(start(tmp_path / f"hub-{len(started)}", *options))
        return started[-1]

    yield begin
    for running in started:
        running.kill()
