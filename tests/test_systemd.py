"""The units that are shipped: systemd itself reads them and has nothing to say."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from syncd import errors
from tests.sources import ROOT

UNITS = sorted((ROOT / "systemd").iterdir())


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_unit_without_a_word(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    instance = tmp_path / unit.name.replace("@", "@home-someone-My\\x20pictures")
    # The program itself need not be installed for its unit to be read.
    instance.write_text(unit.read_text().replace("%h/.local/bin/syncd", "/bin/true"))
    verify = ["systemd-analyze", "--user", "verify", instance]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_trying_again_cannot_mend_is_not_tried_again():
    text = (ROOT / "systemd" / "syncd-watch@.service").read_text()
    never = re.search(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE)
    assert never
    final = (
        errors.UsageError, errors.ConfigError, errors.NotFoundError, errors.BusyError,
        errors.DeniedError,
    )  # fmt: skip
    assert {int(code) for code in never[1].split()} == {error.exit_code for error in final}
