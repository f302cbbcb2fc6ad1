"""The first program in the namespaces of a box: makes its root, and becomes its systemd.

Run by `box.py` as a script, with the folder that the disk is mounted on and the checkout.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import uuid
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT = "/lib/systemd/systemd"
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
         "tty": (5, 0), "fuse": (10, 229)}  # fmt: skip
MASKED = (
    "getty.target", "getty@.service", "console-getty.service", "serial-getty@.service",
    "networking.service", "systemd-networkd.service", "systemd-resolved.service",
    "systemd-timesyncd.service", "systemd-udevd.service", "systemd-udev-trigger.service",
    "systemd-modules-load.service", "systemd-sysctl.service", "kmod-static-nodes.service",
    "systemd-remount-fs.service", "systemd-firstboot.service",
    "systemd-machine-id-commit.service", "dev-hugepages.mount", "dev-mqueue.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount",
    "postgresql.service", "apt-daily.timer", "apt-daily-upgrade.timer", "man-db.timer",
    "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
)  # fmt: skip


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def inside(anchor: Path, checkout: Path) -> None:
    """Make the root of the new machine and give it to systemd."""
    mount("--make-rprivate", "/")
    for name in ("work", "root", "up", "program", "program-work"):
        (anchor / name).mkdir(exist_ok=True)
    root = anchor / "root"
    layers = f"lowerdir=/,upperdir={anchor}/up,workdir={anchor}/work"
    mount("-t", "overlay", "overlay", "-o", layers, str(root))
    _kernel(root)
    _devices(root / "dev")
    for name, mode in (("run", "755"), ("tmp", "1777"), ("var/tmp", "1777")):
        mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", str(root / name))
    _program(root / "opt/syncd", anchor, checkout)
    _settings(root)
    old = root / ".old"
    old.mkdir(exist_ok=True)
    os.chdir(root)
    subprocess.run(["pivot_root", ".", ".old"], check=True)
    os.chdir("/")
    subprocess.run(["umount", "-l", "/.old"], check=True)
    # What systemd does by itself on a machine, and not in a container.
    mount("--make-rshared", "/")
    environment = {"container": "docker", "PATH": PATH, "LANG": "C.UTF-8"}
    words = [INIT, "--system", "--unit=multi-user.target", "--log-target=journal"]
    os.execve(INIT, [*words, "--show-status=false"], environment)


def _kernel(root: Path) -> None:
    """Read-only, so that no setting of the kernel is changed from inside."""
    mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", str(root / "proc"))
    mount("--bind", str(root / "proc/sys"), str(root / "proc/sys"))
    mount("-o", "remount,bind,ro", str(root / "proc/sys"))
    mount("-t", "sysfs", "-o", "ro,nosuid,nodev,noexec", "sysfs", str(root / "sys"))
    mount("-t", "cgroup2", "-o", "nosuid,nodev,noexec", "cgroup2", str(root / "sys/fs/cgroup"))


def _devices(dev: Path) -> None:
    mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", str(dev))
    os.umask(0)
    for name, (major, minor) in NODES.items():
        os.mknod(dev / name, 0o020666, os.makedev(major, minor))
    os.mknod(dev / "console", 0o020600, os.makedev(1, 3))  # nothing on this machine's console
    os.umask(0o022)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    options = "newinstance,ptmxmode=0666,mode=620,gid=5"
    mount("-t", "devpts", "-o", options, "devpts", str(dev / "pts"))
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(dev / "shm"))
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1",
             "stderr": "fd/2"}  # fmt: skip
    for name, target in links.items():
        (dev / name).symlink_to(target)


def _program(place: Path, anchor: Path, checkout: Path) -> None:
    """This interpreter with this checkout, where every user and unit can read them: both may lie
    below a home or a folder for temporary files, and units see neither."""
    place.mkdir(parents=True, exist_ok=True)
    layers = f"upperdir={anchor}/program,workdir={anchor}/program-work"
    mount("-t", "overlay", "overlay", "-o", f"lowerdir={sys.prefix},{layers}", str(place))
    packages = place / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    for name in ("syncd", "systemd"):
        (packages / name).mkdir(exist_ok=True)
        mount("--bind", str(checkout / name), str(packages / name))
        mount("-o", "remount,bind,ro", str(packages / name))


def _settings(root: Path) -> None:
    etc = root / "etc"
    (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
    (etc / "hostname").write_text("box\n")
    (etc / "fstab").write_text("")
    (root / "root").chmod(0o711)  # an interpreter may lie below it
    if not (root / "etc/syncd-box").exists():  # the first boot: what is enabled here is not wanted
        for link in (etc / "systemd").rglob("*.wants/*"):
            link.unlink()
        (root / "etc/syncd-box").write_text("")
    for unit in MASKED:
        link = etc / "systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    journald = etc / "systemd/journald.conf.d/box.conf"
    journald.parent.mkdir(exist_ok=True)
    journald.write_text("[Journal]\nStorage=volatile\nRateLimitBurst=0\n")


if __name__ == "__main__":
    inside(Path(sys.argv[1]), Path(sys.argv[2]))
