"""The doctor, on machines that lack something: each finding comes with what mends it."""

from __future__ import annotations

import os
import re
import stat

import pytest

from syncd.config.places import places
from syncd.daemon import doctor, machine
from syncd.daemon.doctor import findings
from syncd.errors import StateError


@pytest.fixture
def checks(hub, monkeypatch):
    monkeypatch.setenv("SYNCD_REMOTE", hub.url)
    monkeypatch.setenv("SYNCD_TOKEN", hub.token)
    return lambda: {found.check: found for found in findings()}


def is_command(text):
    """Whether every part of it begins with a program."""
    known = {"curl", "df", "echo", "journalctl", "ls", "printf", "sudo", "syncd", "systemctl",
             "tail", '"${EDITOR:-vi}"'}  # fmt: skip
    parts = re.split(r"; | && | \| ", text)
    return all(part.split()[0] in known and "see the" not in part for part in parts)


def test_what_is_wrong_comes_with_what_mends_it(checks):
    for found in checks().values():
        assert found.detail
        assert found.ok or found.mend


def test_what_mends_it_is_a_command(checks, hub, home, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "KERNEL", (99, 0))
    monkeypatch.setattr(machine, "GIB", 1 << 70)
    monkeypatch.setattr(machine, "WATCHES", 1 << 40)
    monkeypatch.setattr(machine, "lacking", lambda: "mounting needs libfuse")
    monkeypatch.setattr(machine, "FUSE_CONF", tmp_path / "none")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    configure(
        '[[mount]]\npath = "/mnt/a"\ndataset = "a"\nallow_other = true\n'
        f'[remotes.wrong]\nurl = "{hub.url}"\ntoken = {{ env = "WRONG" }}\n'
        '[remotes.away]\nurl = "http://127.0.0.1:1"\n'
        f'[remotes.unset]\nurl = "{hub.url}"\ntoken = {{ env = "UNSET" }}\n'
        f'[remotes.unread]\nurl = "{hub.url}"\ntoken = {{ file = "/no/token" }}\n'
    )
    monkeypatch.setenv("WRONG", "not the token")
    found = checks()
    failed = {name for name, one in found.items() if not one.ok}
    assert failed >= {
        "kernel", "space", "inotify", "fuse", "fuse.conf", "remote wrong", "remote away",
        "remote unset", "remote unread",
    }  # fmt: skip
    for one in found.values():
        assert is_command(one.mend) if one.mend else one.ok, one
    configure("remot = 1\n")
    for one in checks().values():
        assert is_command(one.mend) if one.mend else one.ok, one
    assert not checks()["config"].ok


def test_what_a_log_tells_is_shown():
    error = StateError("did not start", path="/x/hub.log", hint="no command at all")
    assert machine.mending(error, places()) == "tail -n 50 /x/hub.log"


def test_a_credential_of_a_unit_may_be_given_by_hand(hub, home, tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    configure(
        f'remote = "local"\n[remotes.local]\nurl = "{hub.url}"\n'
        'token = { credential = "token" }\n'
    )
    file = tmp_path / "token"
    file.write_text(hub.token)

    def local(**said):
        return [f for f in findings(**said) if f.check in ("remote", "remote local")]

    assert [one.ok for one in local()] == [False, False]
    assert all(one.mend.endswith("syncd doctor --token-file FILE") for one in local())
    assert [one.ok for one in local(token_file=file)] == [True, True]
    monkeypatch.setenv("SYNCD_TOKEN_FILE", str(file))
    assert [one.ok for one in local()] == [True, True]
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "token").write_text("another")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "unit"))
    assert [one.ok for one in local()] == [False, False], "its own goes before that of another"


def configure(text):
    config = places().config_file
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def test_low_limits_are_named_with_the_settings(checks, tmp_path, monkeypatch):
    for name, value in (("max_user_watches", 8192), ("max_user_instances", 128),
                        ("max_queued_events", 100)):  # fmt: skip
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(machine, "INOTIFY", tmp_path)
    found = checks()["inotify"]
    assert not found.ok
    assert "fs.inotify.max_user_watches=524288" in found.mend
    assert "max_queued_events" in found.mend
    assert "max_user_instances" not in found.mend


def test_fuse_is_missed_only_where_mounts_are_asked_for(checks, home, monkeypatch):
    monkeypatch.setattr(machine, "lacking", lambda: "mounting needs libfuse")
    assert checks()["fuse"].ok
    config = places().config_file
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[[mount]]\npath = "/mnt/a"\ndataset = "a"\nallow_other = true\n')
    found = checks()["fuse"]
    assert not found.ok
    assert "apt install" in found.mend


def test_a_fuse_conf_that_lets_nobody_in_is_told_to_a_user(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "FUSE_CONF", tmp_path / "fuse.conf")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (tmp_path / "fuse.conf").write_text("#user_allow_other\n")
    assert "user_allow_other" in machine.fuse_conf(places()).mend
    (tmp_path / "fuse.conf").write_text("user_allow_other\n")
    assert machine.fuse_conf(places()).mend == ""


def test_a_wrong_token_and_a_hub_that_is_away_are_two_things(checks, hub, home, monkeypatch):
    config = places().config_file
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f'[remotes.wrong]\nurl = "{hub.url}"\ntoken = {{ env = "WRONG" }}\n'
        '[remotes.away]\nurl = "http://127.0.0.1:1"\n'
        f'[remotes.unset]\nurl = "{hub.url}"\ntoken = {{ env = "UNSET" }}\n'
    )
    monkeypatch.setenv("WRONG", "not the token")
    found = checks()
    assert found["remote"].ok
    assert "refuses us" in found["remote wrong"].detail
    assert "token" in found["remote wrong"].mend
    assert "curl http://127.0.0.1:1/health" in found["remote away"].mend
    assert "UNSET is not set" in found["remote unset"].detail


def test_a_configuration_with_faults_is_one_finding(checks, home):
    config = places().config_file
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("remot = 1\n")
    found = checks()
    assert "did you mean remote?" in found["config"].detail


def test_the_mirrored_folders_are_looked_at(checks, cli_push, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    cli_push(folder)
    assert "watched" in checks()[f"folder {folder}"].detail
    (folder / "a.jpg").unlink()
    for marker in folder.iterdir():
        marker.unlink()
    folder.rmdir()
    found = checks()[f"folder {folder}"]
    assert not found.ok
    assert f"systemd-escape --path --suffix=mount {folder}" in found.mend
    assert is_command(found.mend)


@pytest.fixture
def cli_push(hub):
    from syncd import connect

    def push(folder):
        with connect(hub.url, token=hub.token) as client:
            client.dataset("doctor").push([folder])

    return push


def test_a_unit_that_failed_is_told_with_its_journal(checks, tmp_path, monkeypatch):
    fake = tmp_path / "systemctl"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$1 $3" in\n'
        '"--system syncd.service")'
        ' printf "LoadState=loaded\\nActiveState=failed\\nResult=watchdog\\nNRestarts=4\\n";;\n'
        '"--system --all") echo "syncd-mount@mnt-a\\x2db.service loaded failed";;\n'
        '"--system syncd-mount@mnt-a\\x2db.service")'
        ' printf "LoadState=loaded\\nActiveState=failed\\n";;\n'
        '"--user syncd.service")'
        ' printf "LoadState=loaded\\nActiveState=activating\\nSubState=auto-restart\\n";;\n'
        '*) printf "LoadState=not-found\\n";;\nesac\n'
    )
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    units = [found for found in doctor._units()]
    mount = "syncd-mount@mnt-a\\x2db.service"
    waiting = units.pop()
    assert "systemctl --user restart syncd.service" in waiting.mend, "between two tries"
    assert [unit.check for unit in units] == ["unit syncd.service", f"unit {mount}"]
    assert not units[1].ok
    assert f"restart '{mount}'" in units[1].mend
    assert not units[0].ok
    assert "watchdog" in units[0].detail
    assert "journalctl -u syncd.service" in units[0].mend


def test_leases_are_tried_as_whoever_runs_it(home):
    assert "the kernel tells" in machine.leases(places()).detail
