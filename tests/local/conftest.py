"""What only the tests of the local side need: folders of a special kind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.local.watch import Coverage
from tests.local.ear import Ear
from tests.local.rights import mount_at, own_mounts


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
    with own_mounts():
        mount_at(folder)
        yield folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def ear(root: Path) -> Iterator[Ear]:
    ear = Ear(root)
    assert ear.watcher.start() == Coverage(events=True)
    yield ear
    ear.watcher.stop()
