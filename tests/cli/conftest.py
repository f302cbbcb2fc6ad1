"""The command line within the test's own process: as quick as a call, with real hubs behind it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.main import main
from tests.e2e.program import Shelf
from tests.running import RunningHub


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """`cli("ls", "--json", code=0)`: run a command; another exit status fails the test."""

    def run(*args: object, code: int = 0) -> Said:
        monkeypatch.setattr(sys, "argv", ["syncd", *map(str, args)])
        capfd.readouterr()
        before = list(logging.getLogger("syncd").handlers)
        with pytest.raises(SystemExit) as ended:
            main()
        logging.getLogger("syncd").handlers[:] = before
        said = Said(int(ended.value.code or 0), *capfd.readouterr())
        assert said.code == code, f"syncd {args} ended with {said.code}, not {code}: {said}"
        assert "Traceback" not in said.err
        return said

    return run


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, hub: RunningHub) -> RunningHub:
    """The hub that all tests share, as the one this user's environment names."""
    monkeypatch.setenv("SYNCD_REMOTE", hub.url)
    monkeypatch.setenv("SYNCD_TOKEN", hub.token)
    return hub


@pytest.fixture
def shelf(shared: RunningHub, name: str) -> Shelf:
    return Shelf(shared.url, shared.token, name)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A dataset of this test's own."""
    return str(request.node.name).partition("[")[0]


@pytest.fixture
def photos(tmp_path: Path, tree: Callable[..., Path]) -> Path:
    """Six pictures in three folders, two of them of one name, and what no rule takes."""
    return tree(
        {
            "a.jpg": b"a",
            "trip/b.png": b"bb",
            "trip/day1/c.jpg": b"ccc",
            "trip/day2/c.jpg": b"cccc",
            "trip/day2/d.webp": b"ddddd",
            "home/e.tiff": b"eeeeee",
            "notes.txt": b"not a picture",
            ".hidden.jpg": b"hidden",
        },
        tmp_path / "photos",
    )
