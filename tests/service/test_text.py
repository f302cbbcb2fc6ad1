"""Names of folders may be anything: in TOML, in units, and back."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.service.text import MADE, Mirrored, Shown, configuration, drop_in, word

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_a_configuration_says_what_was_meant(name, dataset):
    text = configuration(
        "http://127.0.0.1:1",
        [Mirrored(root=Path("/srv") / name, dataset=dataset)],
        [Shown(path=Path("/mnt") / name, dataset=dataset)], shared=True,
    )  # fmt: skip
    found = tomllib.loads(text)
    assert found["mirror"] == [{"root": str(Path("/srv") / name), "dataset": dataset}]
    assert found["mount"][0]["path"] == str(Path("/mnt") / name)
    assert found["remotes"]["local"]["token"] == {"credential": "token"}


@pytest.mark.parametrize(
    "name", ["plain", "two words", '"', "100%", "$HOME", "a\\b", "ü", "it's", "a\nb\t"]
)
def test_systemd_reads_a_word_as_it_was_meant(name, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    folder = tmp_path / name
    folder.mkdir()
    text = drop_in(["/bin/echo", str(folder), "%f", "${X}"], writable=[folder])
    unit = tmp_path / "test.service"
    unit.write_text(text.replace("ExecStart=\n", ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_meant_for_systemd_is_left_to_it():
    assert word("%f") == "%f"
    assert word("${CREDENTIALS_DIRECTORY}/token") == "${CREDENTIALS_DIRECTORY}/token"
    assert word("50% of $it") == '"50%% of $$it"'


def test_a_drop_in_names_who_runs_and_what_was_made():
    text = drop_in(
        ["/bin/x", "run"], user="cam", writable=[Path("/srv/$a 5%")], made=Path("/mnt/x")
    )
    assert text.splitlines()[1:] == [
        f"{MADE}/mnt/x", "[Service]", "User=cam", "ExecStart=", "ExecStart=/bin/x run",
        'ReadWritePaths="-/srv/$a 5%%"',
    ]  # fmt: skip
