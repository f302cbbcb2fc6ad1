"""Every option of `mount`, tried for real: who owns, who may look, where and how much is kept."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from tests.mount.mounted import Mounted, content, until, whole

FILES = {"a/1.jpg": b"one", "b.jpg": b"two"}
MIB = 1 << 20


def cat(mounted: Mounted, name: str, user: int, group: int) -> str:
    """A file as another user reads it, who stands in the mount already."""
    done = subprocess.run(
        ["cat", name], cwd=mounted.point, user=user, group=group, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else done.stderr.strip().rpartition(": ")[2]


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount for others and act as them")


def test_owner_group_and_rights_are_those_wanted_and_bind_others(root, mount, dataset):
    dataset.put(FILES)
    mounted = mount("--uid", "1234", "--gid", "4321", "--mode", "440", "--allow-other")
    for name, mode in (("", 0o750), ("a", 0o750), ("a/1.jpg", 0o440), ("b.jpg", 0o440)):
        found = (mounted / name).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 4321, mode)
    refused = "Permission denied"
    assert cat(mounted, "b.jpg", 1234, 1) == "two"
    assert cat(mounted, "a/1.jpg", 5, 4321) == "one"
    assert cat(mounted, "a/1.jpg", 5, 5) == refused
    dataset.put({"b.jpg": b"new"})
    until(lambda: whole(mounted / "b.jpg") == b"new")
    assert cat(mounted, "b.jpg", 1234, 1) == "new"
    mounted.stop()


def test_nobody_else_may_look_unless_told(root, mount, dataset):
    dataset.put(FILES)
    mounted = mount()
    found = (mounted / "b.jpg").stat()
    assert (found.st_uid, found.st_gid) == (os.getuid(), os.getgid())
    assert stat.S_IMODE(found.st_mode) == 0o444
    assert cat(mounted, "b.jpg", 1234, 1) == "Permission denied"
    mounted.stop()


def test_the_cache_lies_where_wanted_and_keeps_to_its_size(mount, dataset, tmp_path):
    files = {f"{n}.jpg": content(n, MIB) for n in range(24)}
    dataset.put(files)
    mounted = mount("--cache-dir", str(tmp_path / "kept"), "--cache-size", "8M")
    for _ in range(2):
        assert {key: whole(mounted / key) for key in files} == files
    mounted.stop()
    held = sum(file.stat().st_blocks * 512 for file in (tmp_path / "kept").rglob("*"))
    assert 4 * MIB < held < 10 * MIB
    assert not (mounted.log_file.parent / "cache").exists()
    assert {at.name for at in (tmp_path / "kept").iterdir()} == {"blocks", "mounts"}


def test_a_dataset_is_made_where_wanted(mounts, hub, name):
    mounted = mounts(hub, "--create", f"{name}-new")
    assert os.listdir(mounted.point) == []
    assert "0 files" in mounted.log
    mounted.stop()
