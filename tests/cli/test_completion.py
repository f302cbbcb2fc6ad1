"""Completion as a real shell does it, with the program as it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

ASK = """
set -u
source <(syncd completion bash)
COMP_WORDS=({words}); COMP_CWORD={last}; COMP_LINE="{words}"; COMP_POINT=${{#COMP_LINE}}
_syncd syncd
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def installed(tmp_path):
    """The command `syncd` in a folder of the search path, as an installation has it."""
    program = tmp_path / "bin" / "syncd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m syncd "$@"\n')
    program.chmod(0o755)
    root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": root}


def completed(words, env):
    parts = words.split(" ")
    script = ASK.format(words=words, last=len(parts) - 1)
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, env=env, check=True
    )
    return done.stdout.split()


def test_bash_completes_commands_and_options(installed):
    assert set(completed("syncd pu", installed)) == {"push", "pull"}
    assert completed("syncd status --wa", installed) == ["--watch"]
    assert "list" in completed("syncd trash l", installed)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "syncd pu"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "syncd pu", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_the_program_answers_every_shell(installed, kind, asked):
    env = {**installed, **asked, "_SYNCD_COMPLETE": f"complete_{kind}"}
    said = subprocess.run(["syncd"], capture_output=True, text=True, env=env, check=False).stdout
    assert "push" in said
    assert "pull" in said
    assert "status" not in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_lines_are_ones_the_shell_can_read(cli, shell):
    lines = cli("completion", shell).out
    assert "_SYNCD_COMPLETE" in lines
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not on this machine")
    subprocess.run([shell, "-n"], input=lines.encode(), check=True)


def test_another_shell_is_refused(cli):
    assert "tcsh" in cli("completion", "tcsh", code=2).err
