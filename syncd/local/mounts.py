"""Which file systems lie at and below a folder, and whether their events can be relied on.

Read from /proc/self/mountinfo by the watcher, about once a second: that is how a disk that is
mounted over the folder, or below it, is noticed at all, because the kernel sends no event.
"""

from __future__ import annotations

import re
from pathlib import Path

from syncd.value import value

MOUNTINFO = Path("/proc/self/mountinfo")

ELSEWHERE = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "9p", "virtiofs"),
        *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "orangefs", "ocfs2", "gfs2"),
        *("vboxsf", "vmhgfs", "prl_fs", "fuse", "autofs"),
    )
)
"""File systems that others change behind this kernel's back; so does every `fuse.*`."""

_OCTAL = re.compile(rb"\\([0-7]{3})")


@value
class Mount:
    id: str
    point: bytes
    type: str

    @property
    def elsewhere(self) -> bool:
        return self.type in ELSEWHERE or self.type.startswith("fuse.")


def mounts_of(root: bytes, table: bytes | None = None) -> tuple[Mount, ...]:
    """The mount `root` lies on, first, and every mount below it; `root` has no links in it.

    Empty where the kernel does not tell.
    """
    try:
        lines = (MOUNTINFO.read_bytes() if table is None else table).splitlines()
    except OSError:
        return ()
    under: Mount | None = None
    below = []
    inside = root.rstrip(b"/") + b"/"
    for line in lines:
        mount = _parse(line)
        if mount is None:
            continue
        if mount.point != root and mount.point.startswith(inside):
            below.append(mount)
        elif inside.startswith(mount.point.rstrip(b"/") + b"/") and (
            under is None or len(mount.point) >= len(under.point)
        ):
            under = mount
    return (*((under,) if under else ()), *below)


def _parse(line: bytes) -> Mount | None:
    """`36 35 98:0 /inner /point rw,noatime shared:1 - ext4 /dev/sda1 rw`; spaces are octal."""
    before, dash, after = line.partition(b" - ")
    fields = before.split(b" ")
    if not dash or len(fields) < 5:
        return None
    point = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), fields[4])
    return Mount(id=fields[0].decode(), point=point, type=after.split(b" ")[0].decode())
