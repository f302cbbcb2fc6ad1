"""Watcher, hub and mount as three users, and all of it back after a reboot of the machine."""

from __future__ import annotations

from functools import partial

import pytest

from tests.systemd.conftest import MOUNT, SCANS, SHOWN, Machine, eventually

UNITS = ("syncd.service", "syncd-hub.service", MOUNT)


def part(box: Machine) -> Machine:
    """Give the mount a user of its own, as docs/operate.md says it."""
    box.sh("useradd --system --no-create-home shower")
    addition = box.path(f"/etc/systemd/system/{MOUNT}.d/override.conf")
    addition.write_text("[Service]\nUser=shower\n")
    box.run("systemctl", "daemon-reload")
    box.sh(f"systemctl stop {MOUNT} && chown shower {SHOWN} && systemctl start {MOUNT}")
    return box


@pytest.fixture(scope="module")
def apart(box: Machine) -> Machine:
    return part(box)


def user_of(box: Machine, unit: str) -> int:
    return int(box.run("stat", "-c", "%u", f"/proc/{box.pid(unit)}"))


def reads_token(box: Machine, user: int, unit: str) -> bool:
    become = ("setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups")
    said = box.run(*become, "cat", f"/run/credentials/{unit}/token", code=None)
    return said == box.path("/etc/syncd/token").read_text()


def shown(box: Machine, name: str, user: str) -> bool:
    return name in box.run("ls", SHOWN, user=user, code=None)


def test_three_users_each_read_their_own_token_and_no_other(apart):
    users = {unit: user_of(apart, unit) for unit in UNITS}
    assert len({0, *users.values()}) == 4, users
    readers = {unit: [of for of in UNITS if reads_token(apart, users[of], unit)] for unit in UNITS}
    assert readers == {unit: [unit] for unit in UNITS}


def test_others_see_what_one_user_watches_and_another_mounts(apart):
    apart.drop("seen.jpg", b"seen by all")
    for user in ("guest", "cam", ""):
        eventually(partial(shown, apart, "seen.jpg", user))
        assert apart.run("cat", SHOWN / "seen.jpg", user=user) == "seen by all"


def test_a_second_installation_leaves_the_mount_its_user(apart):
    apart.install(SCANS, "--mount", f"scans={SHOWN}")
    apart.run("systemctl", "restart", MOUNT)
    assert len({user_of(apart, unit) for unit in UNITS}) == 3


def test_all_of_it_is_back_after_a_reboot(own):
    own.install(SCANS, "--mount", f"scans={SHOWN}")
    part(own).drop("before.jpg", b"before")
    own.arrives("before.jpg")
    own.halt()
    own.boot()
    eventually(lambda: shown(own, "before.jpg", "guest"))
    assert own.run("cat", SHOWN / "before.jpg", user="guest") == "before"
    assert [own.show(unit, "ActiveState") for unit in UNITS] == ["active"] * 3
    assert len({user_of(own, unit) for unit in UNITS}) == 3
    own.drop("after.jpg", b"after")
    eventually(lambda: shown(own, "after.jpg", "guest"))
