"""Mount points: what may be mounted over, what is mounted there, and how it goes again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from syncd.errors import BusyError, NotFoundError, SyncdError, UsageError

MOUNTINFO = Path("/proc/self/mountinfo")
DEVICE = Path("/dev/fuse")
TYPE = "fuse.syncd"
PAUSES = (0.05, 0.1, 0.2, 0.4)
CONF = Path("/etc/fuse.conf")
CAP_SYS_ADMIN = 21


def lacking() -> str | None:
    """What hinders mounting on this machine, as a sentence; None where nothing does."""
    missing = []
    try:
        import syncd.mount.operations  # noqa: F401
    except ImportError:
        return "fusepy is not installed: install syncd with its mount extra"
    except OSError:
        missing.append("libfuse2 (libfuse2t64 on newer systems)")
    if fusermount() is None:
        missing.append("fuse3 (for fusermount)")
    if missing:
        return f"mounting needs {' and '.join(missing)}: apt-get install them"
    if not DEVICE.exists():
        return f"mounting needs {DEVICE}: load the kernel's module with `modprobe fuse`, and in a" \
            " container pass that device and the right to mount"  # fmt: skip
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"mounting needs {DEVICE}, which this user may not open: `sudo chmod 666 {DEVICE}`"
    return None


def check_others() -> None:
    """Raise UsageError where this user may not let others look at his mounts."""
    try:
        lines = CONF.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    allowed = "user_allow_other" in (line.strip() for line in lines)
    if not (allowed or _mounts_by_itself()):
        raise UsageError("root has not allowed it on this machine", path="--allow-other",
                         hint=f"add the line user_allow_other to {CONF}")  # fmt: skip


def _mounts_by_itself() -> bool:
    """Whether this process may mount without the helper, as root may or a unit that was given
    the privilege: the helper's rules do not concern it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_ADMIN & 1)
    return False


def around(point: Path) -> Path | None:
    """The mount of ours that a path, its links resolved, lies on, if any."""
    return next((one for one in (point, *point.parents) if own_at(one)), None)


def below(folder: Path) -> list[Path]:
    """The mounts of ours within a folder."""
    ours = [Path(one.at) for one in _mounts() if one.type == TYPE]
    return [at for at in ours if folder in at.parents]


def fusermount() -> str | None:
    return shutil.which("fusermount") or shutil.which("fusermount3")


def mounted(point: Path) -> str | None:
    """The type of what is mounted on top of exactly this folder; None where nothing is."""
    return next((one.type for one in reversed(_mounts()) if one.at == str(point)), None)


def device_at(point: Path) -> int:
    """The device number of what is mounted on top of exactly this folder; 0 where nothing is."""
    return next((one.device for one in reversed(_mounts()) if one.at == str(point)), 0)


def now_at(device: int) -> Path | None:
    """Where our mount with this device number is: folders above it may have been renamed."""
    ours = [one for one in _mounts() if one.type == TYPE and one.device == device]
    return Path(ours[0].at) if ours else None


class _Mount(NamedTuple):
    at: str
    type: str
    device: int


def _mounts() -> list[_Mount]:
    """Every mount, the one on top last."""
    found = []
    for line in MOUNTINFO.read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4:
            device = os.makedev(*map(int, fields[2].split(":")))
            found.append(_Mount(_plain(fields[4]), after.split(" ")[0], device))
    return found


def own_at(point: Path) -> bool:
    """Whether a mount of ours is there, alive or dead."""
    return mounted(point) == TYPE


def alive(point: Path) -> bool:
    """Whether the mount on this folder still has somebody who answers.

    Asked for what the kernel keeps no answer to: it would have `stat` succeed for hours."""
    try:
        os.statvfs(point)
    except OSError as error:
        return error.errno != errno.ENOTCONN
    return True


def prepare(point: Path) -> Path:
    """Make a folder ready to be mounted over; return it with all links resolved.

    A mount of ours whose program died is taken away. Raises BusyError where one lives there,
    UsageError where the folder cannot be used.
    """
    point = Path(os.path.realpath(point))
    _clear(point)
    try:
        _make_ready(point)
    except UsageError:
        _clear(point)  # what is in the way may be a mount that was begun just now
        raise
    return point


def _clear(point: Path) -> None:
    """Take away a dead mount of ours; raises BusyError where one lives."""
    if own_at(point):
        if alive(point):
            raise BusyError("a dataset is mounted here already", path=str(point),
                            hint=f"syncd umount {point}")  # fmt: skip
        detach(point, lazy=True)


def _make_ready(point: Path) -> None:
    if mounted(point):
        raise UsageError("something else is mounted here: name another folder", path=str(point))
    other = around(point)
    if other:
        raise UsageError(f"lies within the dataset mounted on {other}", path=str(point))
    try:
        point.mkdir(parents=True, exist_ok=True)
        occupied = any(point.iterdir())
    except FileExistsError:
        raise UsageError("is no folder: name an empty one", path=str(point)) from None
    except OSError as error:
        raise UsageError(f"cannot be used: {error.strerror}", path=str(point)) from error
    if occupied:
        raise UsageError("is not empty: mounting would hide what it holds; name another folder",
                         path=str(point))  # fmt: skip
    if not os.access(point, os.W_OK):
        raise UsageError("is not yours to mount over: name a folder of your own", path=str(point))


def unmount(point: Path, *, lazy: bool = False) -> None:
    """Take away a mount of ours; raises NotFoundError, BusyError."""
    point = Path(os.path.realpath(point.parent)) / point.name if point.name else point
    if not own_at(point):  # which is not asked: it may hang
        point = Path(os.path.realpath(point))
    if not own_at(point):
        raise NotFoundError("no dataset is mounted here", path=str(point))
    detach(point, lazy=lazy or not alive(point))


def detach(point: Path, *, lazy: bool) -> None:
    """Unmount, whatever it is; with `lazy` also what is in use, which then ends with its users."""
    program = fusermount()
    if program is None:
        raise UsageError("unmounting needs fuse3 (for fusermount): apt-get install fuse3")
    command = [program, "-u", *(["-z"] if lazy else []), "--", str(point)]
    for pause in (*PAUSES, 0.0):  # whoever tells the kernel of a change is there for a moment
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode == 0 or not own_at(point):
            return
        said = done.stderr.strip().rpartition("\n")[2]
        if "busy" not in said:
            break
        time.sleep(pause)
    if "busy" in said:
        raise BusyError("in use: files in it are open, or a program works in it", path=str(point),
                        hint="end it, or syncd umount --lazy")  # fmt: skip
    raise SyncdError(said or "cannot be unmounted", path=str(point))


def _plain(text: str) -> str:
    """A path of mountinfo, whose blanks and backslashes are octal."""
    for code, char in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", char)
    return text
