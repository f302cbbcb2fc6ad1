"""What only the tests of the local side need: folders of a special kind."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.rights import mount_at


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="syncd-public-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system; skipped where there is no right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount_at(folder)
    yield folder
    subprocess.run(["umount", "-q", "-l", folder], check=False)
