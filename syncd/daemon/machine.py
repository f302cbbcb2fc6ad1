"""What the doctor looks at on the machine itself: kernel, inotify, fuse, leases, clock, space.

Every check answers with a finding and raises nothing but OSError, which is a finding too.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from shlex import quote

from syncd.config.load import load
from syncd.config.places import Places
from syncd.errors import SyncdError
from syncd.mount.point import DEVICE, fusermount, lacking
from syncd.value import value

GIB = 1024**3
WATCHES = 65_536
INSTANCES = 64
QUEUED = 16_384
KERNEL = (5, 4)
INOTIFY = Path("/proc/sys/fs/inotify")
SYSCTL = "/etc/sysctl.d/60-syncd.conf"
FUSE_CONF = Path("/etc/fuse.conf")
UNSYNCHRONISED = 5
"""What the kernel answers where nobody keeps its clock right."""


@value
class Finding:
    """One thing looked at; `mend` is a command. It may come with what is well too: what is only
    needed for some uses is not wrong where it is missing."""

    check: str
    ok: bool
    detail: str
    mend: str = ""


Check = Callable[[Places], Finding]


def python(where: Places) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        check="python", ok=sys.version_info >= (3, 11),
        detail=f"{version}, SQLite {sqlite3.sqlite_version}",
        mend="" if sys.version_info >= (3, 11) else "sudo apt install python3",
    )  # fmt: skip


def kernel(where: Places) -> Finding:
    found = os.uname()
    numbers = tuple(int(part) for part in found.release.split("-")[0].split(".")[:2])
    ok = numbers >= KERNEL
    return Finding(
        check="kernel", ok=ok,
        detail=f"{found.sysname} {found.release}"
        + ("" if ok else ", and nothing older than 5.4 is tried"),
        mend="" if ok else "sudo apt full-upgrade && sudo reboot",
    )  # fmt: skip


def space(where: Places) -> Finding:
    """Free space below everything that syncd writes to."""
    folders = {nearest(folder) for folder in (where.data, where.state, where.cache)}
    free = {folder: shutil.disk_usage(folder).free for folder in folders}
    least = min(free, key=lambda folder: free[folder])
    ok = free[least] > GIB
    return Finding(
        check="space", ok=ok, detail=f"{free[least] / GIB:.1f} GiB free below {least}",
        mend="" if ok else f"df -h {quote(str(least))}; sudo du -xhd 2 {quote(str(least))}",
    )  # fmt: skip


def inotify(where: Places) -> Finding:
    wanted = {
        "max_user_watches": WATCHES, "max_user_instances": INSTANCES, "max_queued_events": QUEUED,
    }  # fmt: skip
    found = {name: int((INOTIFY / name).read_text()) for name in wanted}
    low = {name: 8 * least for name, least in wanted.items() if found[name] < least}
    settings = " ".join(f"fs.inotify.{name}={value}" for name, value in low.items())
    return Finding(
        check="inotify", ok=not low,
        detail=f"{found['max_user_watches']} folders can be watched,"
        f" with room for {found['max_queued_events']} events",
        mend=f"printf '%s\\n' {settings} | sudo tee {SYSCTL} && sudo sysctl -p {SYSCTL}"
        if low else "",
    )  # fmt: skip


def fuse(where: Places) -> Finding:
    """What mounting needs: libfuse, its program, its device."""
    why = lacking()
    if why is None:
        return Finding(check="fuse", ok=True, detail=f"libfuse, {DEVICE}, {fusermount()}")
    wanted = bool(load(where).mounts)
    return Finding(
        check="fuse", ok=not wanted,
        detail=why if wanted else f"not available, and only mounting needs it: {why}",
        mend="sudo apt install fuse3 libfuse2t64; sudo modprobe fuse",
    )  # fmt: skip


def fuse_conf(where: Places) -> Finding:
    """Whether a user may let others into a mount."""
    lines = FUSE_CONF.read_text().splitlines() if FUSE_CONF.exists() else []
    allowed = "user_allow_other" in {line.strip() for line in lines} or os.geteuid() == 0
    asked = any(("allow_other", True) in entry.options for entry in load(where).mounts)
    return Finding(
        check="fuse.conf", ok=allowed or not asked,
        detail=f"others {'may' if allowed else 'may not'} be let into a mount",
        mend="" if allowed else f"echo user_allow_other | sudo tee -a {FUSE_CONF}",
    )  # fmt: skip


def leases(where: Places) -> Finding:
    """Whether a read lease can be had, which tells a file that is still being written."""
    enabled = Path("/proc/sys/fs/leases-enable").read_text().strip() == "1"
    with tempfile.NamedTemporaryFile(dir=nearest(where.state)) as file:
        fd = os.open(file.name, os.O_RDONLY)
        file.close()
        try:
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            why = ""
        except OSError as error:
            why = os.strerror(error.errno or 0)
        finally:
            os.close(fd)
    return Finding(
        check="leases", ok=True,
        detail=f"not available ({why}): files are looked at twice instead" if why
        else "the kernel tells which files are being written",
        mend="" if enabled else "sudo sysctl fs.leases-enable=1",
    )  # fmt: skip


def clock(where: Places) -> Finding:
    """Whether somebody keeps the clock right; times decide nothing here, but people read them."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(256)  # struct timex; its modes are 0: only ask
    state = libc.adjtimex(buffer)
    if state < 0:
        return Finding(check="clock", ok=True, detail="nothing here tells whether it is right")
    kept = state != UNSYNCHRONISED
    return Finding(
        check="clock", ok=True,
        detail="kept right" if kept else "not synchronised: times that are shown may be wrong",
        mend="" if kept else "sudo timedatectl set-ntp true",
    )  # fmt: skip


def nearest(folder: Path) -> Path:
    """The folder, or the one above it that is there already."""
    while not folder.exists():
        folder = folder.parent
    return folder


MACHINE: tuple[Check, ...] = (python, kernel, space, inotify, fuse, fuse_conf, leases, clock)


def safely(check: Check, where: Places) -> Finding:
    """The finding of a check, which is what it raised where it did."""
    try:
        return check(where)
    except SyncdError as error:
        name, mend = check.__name__.strip("_"), mending(error, where)
        return Finding(check=name, ok=False, detail=str(error), mend=mend)
    except (OSError, ValueError) as error:
        name = check.__name__.strip("_")
        return Finding(check=name, ok=True, detail=f"cannot be told: {error}")


def mending(error: SyncdError, where: Places) -> str:
    """The command to begin with: it shows the file that is at fault, or opens it."""
    file = Path(error.path) if error.path else where.config_file
    if file == where.config_file:
        return f'"${{EDITOR:-vi}}" {quote(str(file))}; syncd doctor --token-file FILE'
    if file.suffix == ".log":
        return f"tail -n 50 {quote(str(file))}"
    return f"sudo ls -la {quote(str(file))}"
