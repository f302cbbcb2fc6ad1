"""The repository as text, for the tests that judge its form; nothing is run or imported."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Source:
    """One Python file; `name` is its dotted module name."""

    path: Path
    root: Path = ROOT

    @property
    def where(self) -> str:
        return str(self.path.relative_to(self.root))

    @property
    def name(self) -> str:
        parts = self.path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.where)


@cache
def sources(*packages: str) -> tuple[Source, ...]:
    return tuple(
        Source(path) for package in packages for path in sorted((ROOT / package).rglob("*.py"))
    )


def texts() -> Iterator[Path]:
    """Every text file that git keeps, or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    for name in sorted(listed.decode().split("\0")):
        path = ROOT / name
        if name and path.is_file() and b"\0" not in path.read_bytes()[:8192]:
            yield path


def fail_with(offenders: list[str]) -> None:
    """Fail with one `file:line: what` a line and no traceback, where there are any."""
    if offenders:
        pytest.fail("\n" + "\n".join(offenders), pytrace=False)
