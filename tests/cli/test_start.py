"""`syncd --help` must be quick: held by what is imported, since a time says little on a busy
machine."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from typing import Any, cast

import pytest
from typer.main import get_command

from syncd.cli.main import COMMANDS, app

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


def test_every_command_is_in_the_module_that_is_named_for_it():
    for module, names in COMMANDS.items():
        assert commands(names[0]) == set(names), module
    every = {name for names in COMMANDS.values() for name in names}
    assert commands("") == commands("none") == every


def commands(word: str) -> set[str]:
    return set(cast(Any, get_command(app(word))).commands)


def test_a_command_loads_no_other():
    assert {"syncd.cli.mount", "syncd.cli.service"}.isdisjoint(loaded("config"))


def test_a_command_imports_no_hub():
    modules = loaded("config")
    assert modules.isdisjoint({"fastapi", "sqlalchemy", "uvicorn", "PIL", "rich", "watchdog"})


def test_names_are_utf8_whatever_the_language_of_the_terminal(home, hub, tmp_path):
    folder = tmp_path / "caf\u00e9"
    folder.mkdir()
    (folder / "\N{CAMERA}.jpg").write_bytes(b"x")
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    remote = {"SYNCD_REMOTE": hub.url, "SYNCD_TOKEN": hub.token}

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "syncd", *args], env={**os.environ, **latin, **remote},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    assert "1 uploaded" in run("push", str(folder), "--to", "latin")
    assert "latin/\N{CAMERA}.jpg" in run("ls", "latin")


@pytest.mark.parametrize("command", ["push", "pull"])
def test_bars_on_a_terminal_are_gone_when_it_is_done(home, hub, tmp_path, command):
    (tmp_path / "photos").mkdir()
    for number in range(20):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"%d" % number)
    args = {
        "push": ["push", str(tmp_path / "photos"), "--to", "bars"],
        "pull": ["pull", "bars", str(tmp_path / "back")],
    }[command]
    remote = {"SYNCD_REMOTE": hub.url, "SYNCD_TOKEN": hub.token, "TERM": "xterm"}
    terminal, end = pty.openpty()
    command_line = [sys.executable, "-m", "syncd", *args]
    with subprocess.Popen(
        command_line, env={**os.environ, **remote}, stdout=end, stderr=end
    ) as process:
        os.close(end)
        said = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while chunk := os.read(terminal, 65536):
                said += chunk
    os.close(terminal)
    assert process.returncode == 0
    text = said.decode()
    seen = {"push": "sending ", "pull": "fetching "}[command]
    assert seen in text or "scanning" in text
    assert "\x1b[?25h" in text, "the cursor is shown again"
    assert text.rpartition("\x1b[2K")[2].startswith("bars: 20 ")
