"""A second installation under a real systemd: over a dead mount, and with a dataset mistyped."""

from __future__ import annotations

import time

import pytest

from tests.systemd.conftest import MOUNT, SCANS, SHOWN, SYNCD, Machine, eventually


def test_it_is_installed_over_a_dead_mount_and_leaves_what_is_well_alone(box: Machine):
    box.drop("a.jpg", b"a picture")
    box.arrives("a.jpg")
    eventually(lambda: "a.jpg" in box.run("ls", SHOWN, code=None))
    before = [box.pid(unit) for unit in ("syncd.service", "syncd-hub.service", MOUNT)]
    box.install(SCANS, "--mount", f"scans={SHOWN}")
    assert before == [box.pid(u) for u in ("syncd.service", "syncd-hub.service", MOUNT)]
    box.add(MOUNT, "Restart=no", "ExecStopPost=")
    box.run("systemctl", "kill", "--signal=KILL", MOUNT)
    eventually(lambda: box.show(MOUNT, "ActiveState") == "failed")
    assert "not connected" in box.run("ls", SHOWN, code=None)
    box.install(SCANS, "--mount", f"scans={SHOWN}")
    eventually(lambda: "a.jpg" in box.run("ls", SHOWN, code=None))


@pytest.mark.slow
def test_a_dataset_that_is_not_there_is_told_in_a_minute(box: Machine):
    begun = time.monotonic()
    words = ("--mount", "scnas=/mnt/wrong")
    said = box.run(*SYNCD, "service", "install", *words, code=1, timeout=100)
    assert "scnas" in said
    assert time.monotonic() - begun < 90
