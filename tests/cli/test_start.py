"""`syncd --help` must be quick: held by what is imported, since a time says little on a busy
machine."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "httpx", "fastapi", "sqlalchemy", "rich", "watchdog", "sqlite_utils", "pydantic", "pathspec",
    "uvicorn", "PIL", "numpy", "asyncio", "http.client", "sqlite3", "tomllib",
)  # fmt: skip
MOST = 400


def loaded(*args: str) -> set[str]:
    code = (
        "import sys; sys.argv[1:] = sys.argv[1:]\n"
        "from syncd.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_help_imports_nothing_heavy():
    modules = loaded("--help")
    assert "typer" in modules
    assert modules.isdisjoint(HEAVY)
    assert len(modules) < MOST


def test_a_command_imports_no_hub():
    modules = loaded("config")
    assert modules.isdisjoint({"fastapi", "sqlalchemy", "uvicorn", "PIL", "rich", "watchdog"})
