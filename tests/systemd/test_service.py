"""The installed service under a real systemd: at work, and after whatever befalls it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.systemd.box import PYTHON
from tests.systemd.conftest import MOUNT, SCANS, SHOWN, SYNCD, Machine, eventually

CONFIG = "/etc/syncd/config.toml"
AT_ONCE = "RestartSec=0.2"


def kill(box: Machine, pid: int, number: signal.Signals) -> None:
    box.run("kill", f"-{number.name.removeprefix('SIG')}", str(pid))


def comes_back(box: Machine, unit: str, before: int) -> None:
    eventually(lambda: box.pid(unit) not in (0, before))


@contextmanager
def hasty(box: Machine, unit: str, *lines: str) -> Iterator[None]:
    """A unit with a short watchdog; who works in a later test may be slow again."""
    box.add(unit, AT_ONCE, *lines)
    try:
        box.run("systemctl", "restart", unit)
        yield
    finally:
        box.add(unit, AT_ONCE)
        box.run("systemctl", "restart", unit)


def test_a_file_dropped_into_the_folder_arrives(box):
    box.drop("day/a.jpg", b"a picture")
    box.arrives("a.jpg")
    assert box.items()["a.jpg"] == 9
    states = json.loads(box.syncd("service", "status", "--json"))
    assert [state["active"] for state in states] == ["active"] * 3
    assert box.show("syncd.service", "StatusText").startswith("1 mirror, ")


def test_the_mount_is_seen_by_another_user(box):
    box.drop("seen.jpg", b"seen by all")
    box.arrives("seen.jpg")
    eventually(lambda: "seen.jpg" in box.run("ls", SHOWN, user="guest", code=None))
    assert box.run("cat", SHOWN / "seen.jpg", user="guest") == "seen by all"
    assert "answers" in eventually(lambda: box.show(MOUNT, "StatusText"))


def test_each_unit_has_a_user_of_its_own_and_its_own_copy_of_the_token(box):
    users = {}
    for unit in ("syncd.service", "syncd-hub.service", MOUNT):
        users[unit] = box.run("stat", "-c", "%U", f"/proc/{box.pid(unit)}").strip()
        token = f"/run/credentials/{unit}/token"
        assert box.run("stat", "-c", "%a %s", token).split() == ["400", "44"]
    assert users["syncd.service"] == users[MOUNT] == "cam"
    assert users["syncd-hub.service"] not in ("cam", "root")
    for user in ("cam", "guest"):
        assert "Permission denied" in box.run("cat", "/etc/syncd/token", user=user, code=1)


def test_no_token_is_in_the_journal_or_the_environment(box):
    token = box.path("/etc/syncd/token").read_text().strip()
    for unit in ("syncd.service", "syncd-hub.service", MOUNT):
        assert token not in box.journal(unit)
        assert token not in box.run("systemctl", "show", unit)


def test_the_owner_gets_leases_under_the_unit_without_any_capability(box):
    probe = (
        "import fcntl, os; fd = os.open('/srv/scans/lease.jpg', os.O_RDONLY);"
        " fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK); print('granted');"
        " print(open('/proc/self/status').read())"
    )
    box.drop("lease.jpg", b"x")
    unit = box.path("/etc/systemd/system/syncd.service").read_text()
    unit = unit.replace("Type=notify", "Type=oneshot").replace("WatchdogSec=60", "")
    box.path("/run/systemd/system/probe.service").write_text(unit)
    words = shlex.join([PYTHON, "-c", probe])
    box.add("probe.service", "User=cam", "ExecStart=", f"ExecStart={words}")
    box.run("systemctl", "start", "probe.service")
    said = box.journal("probe.service")
    assert "granted" in said
    assert "CapEff:\t0000000000000000" in said


def test_a_daemon_that_is_frozen_is_restarted_by_the_watchdog(box):
    with hasty(box, "syncd.service", "WatchdogSec=4"):
        before = box.pid("syncd.service")
        kill(box, before, signal.SIGSTOP)
        comes_back(box, "syncd.service", before)
        back = time.monotonic()
        assert "Watchdog timeout" in box.journal("syncd.service")
        box.drop("after-stop.jpg", b"1")
        box.arrives("after-stop.jpg")
        time.sleep(max(0.0, back + 6 - time.monotonic()))
        assert box.show("syncd.service", "NRestarts") == "1", "one that works is left alone"


def test_a_killed_daemon_and_a_killed_hub_come_back_by_themselves(box):
    for unit in ("syncd.service", "syncd-hub.service"):
        before = box.pid(unit)
        kill(box, before, signal.SIGKILL)
        comes_back(box, unit, before)
    box.drop("after-kill.jpg", b"2")
    box.arrives("after-kill.jpg")


def test_a_killed_mount_comes_back_by_itself(box):
    before = box.pid(MOUNT)
    kill(box, before, signal.SIGKILL)
    comes_back(box, MOUNT, before)
    eventually(lambda: "a.jpg" in box.run("ls", SHOWN / "day", user="guest", code=None))


def test_a_server_of_the_mount_that_was_killed_or_frozen_is_replaced(box):
    with hasty(box, MOUNT, "WatchdogSec=3", "TimeoutStopSec=2"):
        for number in (signal.SIGKILL, signal.SIGSTOP):
            main = box.pid(MOUNT)
            serving = int(box.run("pgrep", "-P", str(main)).split()[0])
            kill(box, serving, number)

            def served(gone: int = serving) -> bool:
                alive = os.path.exists(box.path(f"/proc/{gone}"))
                return not alive and "a.jpg" in box.run(
                    "timeout", "2", "ls", SHOWN / "day", user="guest", code=None
                )

            eventually(served, 50)


@pytest.mark.parametrize("unit", ["syncd.service", MOUNT])
def test_a_wrong_token_ends_in_one_attempt(box, unit):
    token = box.path("/etc/syncd/token")
    good = token.read_text()
    tried = box.journal(unit).count(f"Starting {unit}")
    token.write_text("wrong-token-wrong-token-wrong-token-wrong\n")
    try:
        box.run("systemctl", "restart", unit, code=None)
        eventually(lambda: box.show(unit, "ActiveState") == "failed")
        time.sleep(2)
        assert box.show(unit, "ExecMainStatus") == "7"
        assert box.show(unit, "NRestarts") == "0"
        assert box.journal(unit).count(f"Starting {unit}") == tried + 1
        assert "ended: exit-code" in box.syncd("service", "status", code=1)
    finally:
        token.write_text(good)
        box.run("systemctl", "reset-failed", unit)
        box.run("systemctl", "restart", unit)


def test_a_configuration_without_sense_ends_in_one_attempt(box):
    config = box.path(CONFIG)
    good = config.read_text()
    config.write_text(good + '\n[[mirror]]\nrot = "/srv/more"\n')
    try:
        box.run("systemctl", "restart", "syncd.service", code=1)
        time.sleep(2)
        assert box.show("syncd.service", "ActiveState") == "failed"
        assert box.show("syncd.service", "ExecMainStatus") == "3"
        assert box.show("syncd.service", "NRestarts") == "0"
        assert "did you mean root?" in box.journal("syncd.service")
    finally:
        config.write_text(good)
        box.run("systemctl", "restart", "syncd.service")


def test_a_reload_adds_a_mirror_and_a_broken_file_changes_nothing(box):
    box.sh("mkdir -p /srv/more && chown cam: /srv/more")
    config = box.path(CONFIG)
    good, pid = config.read_text(), box.pid("syncd.service")
    config.write_text(good + '\n[[mirror]]\nroot = "/srv/more"\ndatset = "x"\n')
    box.run("systemctl", "reload", "syncd.service")
    eventually(lambda: "did you mean dataset?" in box.journal("syncd.service"))
    config.write_text(good + '\n[[mirror]]\nroot = "/srv/more"\n')
    box.run("systemctl", "reload", "syncd.service")
    box.drop("new.jpg", b"new", SCANS.with_name("more"))
    box.arrives("new.jpg", "more")
    box.drop("old.jpg", b"old")
    box.arrives("old.jpg")
    assert box.pid("syncd.service") == pid
    assert "2 mirrors" in box.show("syncd.service", "StatusText")
    config.write_text(good)
    box.run("systemctl", "reload", "syncd.service")
    eventually(lambda: "1 mirror," in box.show("syncd.service", "StatusText"))


def test_a_journal_that_is_stuck_stops_nobody(box):
    journal = box.pid("systemd-journald.service")
    box.sh("SYNCD_STATE_DIR=/var/lib/syncd " + shlex.join([*SYNCD, "log-level", "debug"]))
    before = box.pid("syncd.service")
    kill(box, journal, signal.SIGSTOP)
    try:
        names = (f"unheard-{number}-{'x' * 200}.jpg" for number in range(600))
        wanted = dict.fromkeys(names, 7)  # more than the journal's socket holds
        for name in wanted:
            box.path(SCANS / name).write_bytes(b"unheard")
        eventually(lambda: wanted.items() <= box.items().items())
        assert box.pid("syncd.service") == before
    finally:
        kill(box, journal, signal.SIGCONT)
        box.run("systemctl", "restart", "syncd.service")


def test_a_disk_without_room_for_the_state_is_waited_for(box):
    state = "/var/lib/syncd"
    full = f"mount -t tmpfs -o size=400k,mode=700 tmpfs {state}; chown cam: {state}"
    full += f"; dd if=/dev/zero of={state}/fill bs=1k"
    box.run("systemctl", "stop", "syncd.service")
    box.sh(full, code=1)
    box.run("systemctl", "start", "syncd.service")
    try:
        box.drop("no-room.jpg", b"no room")
        eventually(lambda: "(free space" in box.show("syncd.service", "StatusText"))
        assert box.show("syncd.service", "ActiveState") == "active"
        assert "no-room.jpg" not in box.items()
        box.run("mount", "-o", "remount,size=40M", state)
        box.arrives("no-room.jpg")
    finally:
        box.sh(f"systemctl stop syncd.service; umount {state}; systemctl start syncd.service")


def test_a_stop_does_not_wait_for_a_hub_that_is_frozen(box):
    hub = box.pid("syncd-hub.service")
    box.run("systemctl", "stop", "syncd.service")
    kill(box, hub, signal.SIGSTOP)
    try:
        box.run("systemctl", "start", "syncd.service")
        before = time.monotonic()
        box.run("systemctl", "stop", "syncd.service")
        assert time.monotonic() - before < 29
        assert box.show("syncd.service", "Result") == "success"
    finally:
        # Frozen for so long, it may have been replaced by its own watchdog.
        box.sh(f"kill -CONT {hub}; systemctl start syncd-hub.service syncd.service")


def test_a_hub_restarted_under_load_loses_nothing(box):
    wanted = {}
    for number in range(240):
        content = os.urandom(2000 + number)
        box.path(SCANS / f"load-{number}.jpg").write_bytes(content)
        box.path(SCANS / f"load-{number}.jpg").chmod(0o644)
        wanted[f"load-{number}.jpg"] = len(content)
        if number % 80 == 40:
            box.run("systemctl", "restart", "syncd-hub.service")
    eventually(lambda: wanted.items() <= box.items().items(), 60)
