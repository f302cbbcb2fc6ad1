"""Mount tables as kernels print them, and the real one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from syncd.local.mounts import Mount, mounts_of

TABLE = rb"""22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:40 / /srv rw shared:2 - nfs4 server:/export rw,vers=4.2
31 30 0:41 / /srv/local rw shared:3 master:1 - xfs /dev/sdb rw
32 22 0:42 / /home/a\040b rw - fuse.sshfs host: rw
33 22 0:43 / /srvother rw - tmpfs none rw
34 30 0:44 / /srv rw - cifs //server/share rw
broken
"""


def types(root: bytes) -> list[str]:
    return [mount.type for mount in mounts_of(root, TABLE)]


def test_the_mount_a_folder_is_on_comes_first_then_those_below() -> None:
    assert types(b"/var/data") == ["ext4"]
    assert types(b"/srv/local/deep") == ["xfs"]
    assert types(b"/srv/x") == ["cifs"]
    assert types(b"/srv") == ["cifs", "xfs"]
    assert types(b"/home") == ["ext4", "fuse.sshfs"]
    assert types(b"/home/a b/c") == ["fuse.sshfs"]
    assert types(b"/") == ["ext4", "nfs4", "xfs", "fuse.sshfs", "tmpfs", "cifs"]


@pytest.mark.parametrize(
    ("type", "elsewhere"),
    [
        *((name, True) for name in ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "vboxsf")),
        *((name, True) for name in ("fuse.sshfs", "fuse.rclone", "fuse.bindfs", "fuse", "ceph")),
        *((name, False) for name in ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk")),
        *((name, False) for name in ("zfs", "vfat", "exfat", "f2fs")),
    ],
)
def test_which_file_systems_others_can_change(type: str, elsewhere: bool) -> None:
    assert Mount(id="1", point=b"/", type=type).elsewhere is elsewhere


def test_the_kernels_own_table(disk: Path) -> None:
    (mount,) = mounts_of(os.fsencode(disk))
    assert (mount.type, mount.point) == ("tmpfs", os.fsencode(disk))
    inner = disk / "with space\nand line"
    inner.mkdir()
    subprocess.run(["mount", "--bind", disk, inner], check=True)
    try:
        assert [m.point for m in mounts_of(os.fsencode(disk))][1:] == [os.fsencode(inner)]
    finally:
        subprocess.run(["umount", inner], check=True)
