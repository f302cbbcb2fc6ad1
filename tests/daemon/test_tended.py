"""The processes that serve mounts: begun again, given up, and ended all at once."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from syncd.config.parts import MountEntry
from syncd.config.places import places
from syncd.daemon import tended
from syncd.daemon.tended import OPEN_S, Mounted, Mounts, command
from tests.e2e.program import eventually

STUBBORN = ["sh", "-c", 'trap "" TERM; exec sleep 60']


@pytest.fixture
def served_by(home, monkeypatch):
    """`served_by(words)`: what stands for `syncd mount` in this test."""

    def instead(words):
        monkeypatch.setattr(tended, "command", lambda entry, told: words)

    return instead


def entries(tmp_path: Path, number: int) -> list[MountEntry]:
    return [MountEntry(path=tmp_path / f"m{n}", dataset="d") for n in range(number)]


def test_a_mount_that_never_appears_is_ended_and_begun_again(served_by, tmp_path, expect_log):
    served_by(["sleep", "60"])
    expect_log("mount does not appear")
    expect_log("mount ended path=")
    mounted = Mounted(entries(tmp_path, 1)[0], places())
    mounted.begin()
    child = mounted._child
    assert mounted.look()
    assert child.poll() is None
    mounted._begun -= OPEN_S + 1
    mounted.look()
    eventually(lambda: child.poll() is not None)
    mounted.look()
    assert mounted._child is None
    mounted._begun -= 60
    mounted.look()
    again = mounted._child
    assert again is not None
    assert again.pid != child.pid
    mounted.cease()
    mounted.end(time.monotonic() + 5)


def is_sleep(comm: Path) -> bool:
    return comm.read_text() == "sleep\n"


def test_many_that_do_not_end_take_no_longer_than_one(served_by, tmp_path, monkeypatch):
    served_by(STUBBORN)
    monkeypatch.setattr(tended, "STOP_S", 1.0)
    mounts = Mounts(places(), entries(tmp_path, 12))
    mounts.begin()
    children = [mounted._child for mounted in mounts.wanted.values()]
    for child in children:
        comm = Path(f"/proc/{child.pid}/comm")
        eventually(partial(is_sleep, comm))
    before = time.monotonic()
    mounts.end()
    assert time.monotonic() - before < 8.0
    assert all(child.returncode is not None for child in children)


def test_mounts_are_over_when_each_was_refused(served_by, tmp_path, expect_log):
    expect_log("mount ended for good")
    served_by(["sh", "-c", "exit 3"])
    mounts = Mounts(places(), entries(tmp_path, 2))
    assert not mounts.over
    mounts.begin()
    eventually(lambda: mounts.look() and mounts.over)
    assert mounts.refused == 3
    assert not Mounts(places(), []).over, "there is nothing that could end"


def test_what_a_mount_is_told_besides_its_entry(tmp_path):
    [entry] = entries(tmp_path, 1)
    assert "--log-json" in command(entry, ("--log-json",))
    assert "--log-json" not in command(entry)
