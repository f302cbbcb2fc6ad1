"""The units that are shipped: systemd reads them without a word, and finds them safe."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from syncd import errors
from syncd.config.load import load
from syncd.config.places import places
from tests.sources import ROOT

SHIPPED = ROOT / "systemd"
UNITS = sorted(SHIPPED.glob("*/*.service"))
HIDING = re.compile(
    r"^(Protect(System|Home|Kernel\w+|ControlGroups|Proc)|Private(Tmp|Mounts|Devices|Users|IPC)"
    r"|ProcSubset|(ReadWrite|ReadOnly|Inaccessible|Bind\w*)Paths|TemporaryFileSystem|DynamicUser)=",
    re.MULTILINE,
)


def named(unit: Path) -> str:
    return f"{unit.parent.name}/{unit.name}"


def analyze(unit: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    copy = folder / unit.name.replace("@", "@mnt-My\\x20pictures")
    # The program itself need not be installed for its unit to be read.
    copy.write_text(re.sub(r"=(/usr/local|%h/.local)/bin/syncd", "=/bin/true", unit.read_text()))
    manager = ["--user"] if unit.parent.name == "user" else []
    command = ["systemd-analyze", *manager, *words, str(copy)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=named)
def test_systemd_takes_the_unit_without_a_word(unit, tmp_path):
    done = analyze(unit, tmp_path, "verify")
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "most"),
    [("syncd.service", 1.5), ("syncd-hub.service", 1.5), ("syncd-mount@.service", 4.0)],
)
def test_the_unit_is_as_shut_in_as_promised(name, most, tmp_path):
    done = analyze(SHIPPED / "system" / name, tmp_path, "security", "--offline=true")
    found = re.search(r"exposure level for .*: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= most


@pytest.mark.parametrize("unit", [u for u in UNITS if "mount" in u.name], ids=named)
def test_nothing_hides_a_mount_from_other_users(unit):
    assert HIDING.findall(unit.read_text()) == []


@pytest.mark.parametrize("unit", UNITS, ids=named)
def test_what_trying_again_cannot_mend_is_not_tried_again(unit):
    never = re.search(r"^RestartPreventExitStatus=(.*)$", unit.read_text(), re.MULTILINE)
    assert never
    final = {errors.UsageError, errors.ConfigError, errors.BusyError, errors.DeniedError}
    if named(unit) == "user/syncd-hub.service":
        final.remove(errors.BusyError)  # a hub that a command started gives way by itself
    assert {int(code) for code in never[1].split()} == {error.exit_code for error in final}


@pytest.mark.parametrize("unit", UNITS, ids=named)
def test_every_unit_is_watched_and_says_when_it_is_ready(unit):
    text = unit.read_text()
    for line in ("Type=notify", "WatchdogSec=60", "Restart=on-failure", "UMask=0077"):
        assert line in text.splitlines()


def test_the_example_is_a_configuration(tmp_path):
    where = places({"SYNCD_CONFIG_FILE": str(SHIPPED / "config.toml"), "HOME": str(tmp_path)})
    config = load(where)
    assert [str(entry.root) for entry in config.mirrors] == ["/srv/scans"]
    assert [str(entry.path) for entry in config.mounts] == ["/mnt/scans"]


def test_what_the_example_leaves_out_is_known_as_well(tmp_path):
    text = (SHIPPED / "config.toml").read_text()
    said = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert said.count("\nlayout = ") == 1
    file = tmp_path / "config.toml"
    file.write_text(said.replace('"first-level"      # or', '"first-level" # or'))
    load(places({"SYNCD_CONFIG_FILE": str(file), "HOME": str(tmp_path / "home")}))
