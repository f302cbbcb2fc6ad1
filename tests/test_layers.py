"""Who may import whom: section 3 of docs/design.md, held against the source text.

An import within a function counts like any other: lateness does not make it allowed. Only what
stands below `if TYPE_CHECKING` is free, since it is never executed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.sources import Source, fail_with, sources

BASE = (
    "syncd.model", "syncd.errors", "syncd.clock", "syncd.counted", "syncd.disk", "syncd.frame",
    "syncd.value",
)  # fmt: skip
LOW = (*BASE, "syncd.annotation", "syncd.plan")
ALL = ("syncd",)

# Each part, and what of syncd it may import besides itself. The longest fitting name counts.
PARTS = {
    "syncd": ALL,
    **dict.fromkeys(BASE, BASE),
    "syncd.annotation": BASE,
    "syncd.plan": BASE,
    "syncd.config": LOW,
    "syncd.local": LOW,
    "syncd.state": LOW,
    "syncd.remotes": LOW,
    "syncd.hub": LOW,
    "syncd.mount": (*LOW, "syncd.annotation", "syncd.remotes.base"),
    "syncd.engine": (*LOW, "syncd.local", "syncd.state", "syncd.remotes.base"),
    "syncd.client": ALL,
    "syncd.daemon": ALL,
    "syncd.service": ALL,
    "syncd.cli": ALL,
}

# Everything from outside has a home; a new dependency is given one here.
HOMES = {
    "watchdog": ("syncd.local.watch",),
    "httpx": ("syncd.remotes.wire",),
    "httpcore": ("syncd.remotes.wire",),
    "http": ("syncd.daemon.exporter",),
    "fuse": ("syncd.mount.operations",),
    "sqlite_utils": ("syncd.state",),
    "sqlalchemy": ("syncd.hub",),
    "typer": ("syncd.cli",),
    "click": ("syncd.cli",),
    "rich": ("syncd.cli",),
    "pydantic": ("syncd.config", "syncd.hub"),
    "pathspec": ("syncd.local",),
    **dict.fromkeys(
        ("fastapi", "starlette", "uvicorn", "httptools", "uvloop", "prometheus_client"),
        ("syncd.hub",),
    ),
    **dict.fromkeys(("PIL", "pillow_heif", "av", "pydicom", "numpy"), ("syncd.hub",)),
    "signal": ("syncd.daemon", "syncd.hub", "syncd.local.read", "syncd.local.scout"),
}
ENVIRONMENT = ("environ", "environb", "getenv", "getenvb", "putenv")
PURE = ("syncd.plan", "syncd.annotation", *BASE)
IMPURE = {"os", "time", "random", "threading", "logging"}
OWNED = {"syncd.clock": {"time"}, "syncd.disk": {"os"}}


@dataclass(frozen=True)
class Import:
    source: Source
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.source.where}:{self.line}: {self.source.name} imports {self.target}"


def within(name: str, *parts: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def part_of(name: str) -> str:
    return max((part for part in PARTS if within(name, part)), key=len)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from (other, *executed(other))
        else:
            yield from (child, *executed(child))


def imports(source: Source) -> Iterator[Import]:
    package = source.name if source.path.name == "__init__.py" else source.name.rpartition(".")[0]
    for node in executed(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(source, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.rsplit(".", node.level - 1)[0]
                base = f"{above}.{base}".rstrip(".")
            for alias in node.names:
                yield Import(source, node.lineno, f"{base}.{alias.name}")


KNOWN = {source.name for source in sources("syncd")}
FOUND = [found for source in sources("syncd") for found in imports(source)]


def allowed_inside(found: Import) -> bool:
    own = part_of(found.source.name)
    if found.target == "syncd.__version__" or own == "syncd":
        return True
    # `from syncd.remotes import base` and `from syncd.remotes.base import Item` mean the same
    target = found.target if found.target in KNOWN else found.target.rpartition(".")[0]
    if target == "syncd":
        return PARTS[own] == ALL
    return within(target, own, *PARTS[own])


def test_every_package_imports_only_what_lies_below_it():
    bad = [f for f in FOUND if within(f.target, "syncd") and not allowed_inside(f)]
    fail_with([str(found) for found in bad])


def test_every_module_has_a_part():
    bad = [s.where for s in sources("syncd") if part_of(s.name) == "syncd" and not is_root(s)]
    fail_with([f"{where}: give it a line in PARTS and in docs/design.md" for where in bad])


def is_root(source: Source) -> bool:
    return source.name in ("syncd", "syncd.__main__")


def test_everything_from_outside_stays_in_its_home():
    bad = []
    for found in FOUND:
        top = found.target.split(".")[0]
        homes = HOMES.get(top)
        if homes is not None and not within(found.source.name, *homes):
            bad.append(f"{found}: its home is {' and '.join(homes)}")
        elif homes is None and top != "syncd" and top not in sys.stdlib_module_names:
            bad.append(f"{found}, which has no home: give it one in HOMES")
    fail_with(bad)


def test_the_lowest_layers_are_pure():
    bad = [
        found
        for found in FOUND
        if within(found.source.name, *PURE)
        and found.target.split(".")[0] in IMPURE - OWNED.get(found.source.name, set())
    ]
    fail_with([str(found) for found in bad])


def test_only_config_reads_the_environment():
    bad = []
    for source in sources("syncd"):
        if within(source.name, "syncd.config"):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute | ast.alias):
                name = node.attr if isinstance(node, ast.Attribute) else node.name
                if name in ENVIRONMENT:
                    bad.append(f"{source.where}:{node.lineno}: {name}")
    fail_with(bad)


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("plan/x", "from syncd.local import scan", False),
        ("plan/x", "def f():\n    import syncd.state.store", False),
        ("plan/x", "from ..model import Item", True),
        ("plan/x", "if TYPE_CHECKING:\n    from syncd.hub import store", True),
        ("hub/x", "from syncd.frame import pack", True),
        ("hub/x", "from syncd.remotes import base", False),
        ("engine/x", "from syncd.remotes import base", True),
        ("engine/x", "from syncd.remotes.base import Upload", True),
        ("engine/x", "from syncd.remotes.hub import connect", False),
        ("engine/x", "from syncd import client", False),
        ("engine/x", "from syncd import __version__", True),
        ("model", "from syncd.plan import layout", False),
        ("cli/x", "from syncd import client", True),
    ],
)
def test_the_rule_knows_right_from_wrong(tmp_path, name, code, expected):
    path = tmp_path / "syncd" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{code}\n")
    assert all(map(allowed_inside, imports(Source(path, tmp_path)))) is expected
