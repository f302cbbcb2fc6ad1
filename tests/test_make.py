"""The commands that the README begins with, as a terminal runs them."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from syncd.mount.point import lacking
from tests.sources import ROOT


@pytest.fixture
def venv(tmp_path):
    """What `make` takes for an installed environment: this interpreter, and a stamp."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    command = folder / "bin" / "syncd"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m syncd "$@"\n')
    command.chmod(0o755)
    (folder / "run").touch()
    return folder


@pytest.fixture
def running(venv, tmp_path):
    """`make run` in a session of its own, with its output in a file."""
    output = tmp_path / "output"
    words = ["make", "run", f"VENV={venv}", f"FOLDER={tmp_path / 'in box'}", "RUN_PACKAGES="]
    words += [f"MOUNT={tmp_path / 'the mount'}"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            words, cwd=ROOT, stdout=file, stderr=file, start_new_session=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        )  # fmt: skip
    yield process, output
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(output: Path, pattern: str) -> str:
    deadline = time.monotonic() + 30
    while not (found := re.search(pattern, output.read_text())):
        assert time.monotonic() < deadline, f"no {pattern!r} in: {output.read_text()}"
        time.sleep(0.02)
    return found[0]


@pytest.mark.timeout(240)
def test_run_says_where_to_drop_files_and_ctrl_c_ends_it_cleanly(running, tmp_path):
    process, output = running
    wait_for(output, re.escape(str(tmp_path / "in box")))
    wait_for(output, r"http://127\.0\.0\.1:\d+/\S+")
    (tmp_path / "in box" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    wait_for(output, r"1 stored")
    mounted(output, tmp_path / "the mount")
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: make gets it too
    assert process.wait(60) in (0, -signal.SIGINT)
    assert "***" not in output.read_text()
    assert "Traceback" not in output.read_text()
    assert not os.path.ismount(tmp_path / "the mount")


def mounted(output: Path, point: Path) -> None:
    """What was dropped is read there as well; or one line says why not."""
    if why := lacking():
        assert output.read_text().count(why) == 1
        return
    deadline = time.monotonic() + 30
    while not (point / "a.jpg").exists():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.02)
    assert (point / "a.jpg").read_bytes() == b"\xff\xd8\xff"


@pytest.mark.timeout(240)
def test_a_signal_to_make_alone_reaches_syncd(running, tmp_path):
    process, output = running
    wait_for(output, r"http://127\.0\.0\.1:\d+/\S+")
    process.terminate()
    process.wait(60)
    wait_for(output, "stopped")
    deadline = time.monotonic() + 30
    while os.path.ismount(tmp_path / "the mount"):  # make does not wait for it
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_help_lists_every_target():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    assert re.findall(r"^  make (\w+)", shown, re.MULTILINE) == declared[1].split()


@pytest.mark.parametrize("name", ["a name", "/no/such/python"])
def test_a_python_that_is_none_is_not_taken(name):
    done = subprocess.run(
        ["scripts/python"], cwd=ROOT, env={**os.environ, "PYTHON": name}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr


def test_a_package_that_cannot_be_had_stops_nothing(tmp_path):
    """Run without rights: nothing is installed, and one line says what to install."""
    (tmp_path / "dpkg-query").symlink_to(shutil.which("false") or "")
    (tmp_path / "sudo").symlink_to(shutil.which("false") or "")
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        ["scripts/packages", "one", "two"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        "syncd: going on without one two; to have it all: apt-get install one two"
    ]


SUDO = """#!/bin/sh
echo "sudo $*" >> {here}/log
case $1 in -v) touch {here}/granted ;; -n) [ -e {here}/granted ] && shift && exec "$@" ;; esac
"""


@pytest.mark.parametrize("groups", ["me sudo", "me"])
def test_who_may_sudo_is_asked_at_a_terminal_and_nobody_else(tmp_path, groups):
    programs = {
        "sudo": SUDO.format(here=tmp_path),
        "id": f'#!/bin/sh\n[ "$1" = -u ] && echo 1000 || echo {groups}\n',
        "apt-get": f'#!/bin/sh\necho "apt-get $*" >> {tmp_path}/log\n',
        "dpkg-query": "#!/bin/sh\nexit 1\n",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            ["scripts/packages", "one"], cwd=ROOT, stdin=theirs, capture_output=True, text=True,
            check=False, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    log = (tmp_path / "log").read_text().splitlines()
    assert "going on without one" in done.stderr  # nothing was installed for real
    assert log[0] == "sudo -n true"
    assert ("sudo may ask for your password" in done.stdout) == (groups == "me sudo")
    assert ("sudo -v" in log, any("install" in line for line in log[1:])) == (
        (True, True) if groups == "me sudo" else (False, False)
    )


def test_a_package_that_another_gives_is_not_missing(tmp_path):
    known = "installed libnew, libold (= 2.9)\nconfig-files gone, \ninstalled one, two, three\n"
    (tmp_path / "known").write_text(known)
    (tmp_path / "dpkg-query").write_text(f"#!/bin/sh\ncat {tmp_path / 'known'}\n")
    (tmp_path / "dpkg-query").chmod(0o755)
    (tmp_path / "sudo").symlink_to(shutil.which("false") or "")
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    asked = ["libold", "libnew", "one", "two", "three", "gone", "lib", "ol"]
    done = subprocess.run(
        ["scripts/packages", *asked], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert "going on without gone lib ol;" in done.stderr
