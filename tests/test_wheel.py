"""What an installed syncd has with it besides its modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import pytest

from tests.sources import ROOT


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling, which builds, is not here")
def test_a_wheel_holds_all_that_is_read_at_run_time(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("syncd", "systemd"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet",
         "--disable-pip-version-check", "--wheel-dir", tmp_path / "out", source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [wheel] = (tmp_path / "out").glob("syncd-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = set(packed.namelist())
    wanted = {"syncd/py.typed", "syncd/state/fresh.sql"}
    wanted |= {
        f"syncd/hub/pages/{path.relative_to(ROOT / 'syncd/hub/pages')}"
        for path in (ROOT / "syncd/hub/pages").rglob("*") if path.is_file()
    }  # fmt: skip
    units = {
        f"syncd/units/{path.relative_to(ROOT / 'systemd')}"
        for path in (ROOT / "systemd").rglob("*") if path.is_file()
    }  # fmt: skip
    assert units
    assert wanted | units <= held, sorted((wanted | units) - held)
