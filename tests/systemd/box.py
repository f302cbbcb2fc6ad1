"""A machine for tests: a real systemd as PID 1 of private namespaces, over this machine's files.

The root is a copy-on-write view, so nothing that happens inside is left behind; kernel settings
and devices are out of reach. Needs root, overlayfs and cgroup2. The disk lies in a mount namespace
that a sleeping process holds, so no mount is ever seen on this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

BOOT_S = 40.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT = "/lib/systemd/systemd"
INSIDE = Path(__file__).with_name("inside.py")
PYTHON = str(Path("/opt") / "syncd/bin/python")
"""The interpreter inside, with syncd in it."""
BOUND = ("setpriv", "--pdeathsig", "KILL")


def why_not() -> str:
    """Why no box can be had here; empty where one can."""
    if os.geteuid() != 0:
        return "a systemd of our own needs root"
    missing = [name for name in ("unshare", "nsenter", "mount", INIT) if shutil.which(name) is None]
    if missing:
        return f"a systemd of our own needs {', '.join(missing)}"
    if _cgroups() is None:
        return "a systemd of our own needs a cgroup2 mount"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    return "a systemd of our own needs the right to make namespaces" if tried.returncode else ""


def _cgroups() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(point)
    return None


class Box:
    """One machine; what is written to its disk outlives `halt`, up to `close`."""

    def __init__(self, folder: Path) -> None:
        self._anchor = folder / "anchor"
        self._log = folder / "boot.log"
        self._group = (_cgroups() or Path()) / f"syncd-box-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._disk: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def boot(self) -> None:
        """Start it; returns when systemd says that it is up."""
        if self._disk is None:
            self._disk = self._made()
        self._group.mkdir()
        command = [
            *BOUND, "nsenter", "-t", str(self._disk.pid), "-m", "unshare", "--mount", "--pid",
            "--fork", "--kill-child=KILL", "--uts", "--ipc", "--cgroup", "--propagation",
            "private", sys.executable, str(INSIDE), str(self._anchor),
            str(INSIDE.parents[2]),
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self._join
            )
        deadline = time.monotonic() + BOOT_S
        while not self._up():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"no boot: {self._log.read_text()}"
            time.sleep(0.05)

    def run(
        self, *command: str | Path, user: str = "", code: int | None = 0, timeout: float = 60
    ) -> str:
        """Run a command inside, as root or another user; another status than `code` fails."""
        inside = ["nsenter", "-t", str(self._leader), "-m", "-p", "-u", "-i", "-C", "--"]
        inside += ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user else []
        home = f"/home/{user}" if user else "/root"
        inside += ["env", "-i", f"HOME={home}", f"PATH={PATH}", "LANG=C.UTF-8"]
        inside += ["env", f"XDG_RUNTIME_DIR=/run/user/{self._uid(user)}"] if user else []
        done = subprocess.run(
            [*inside, *map(str, command)], capture_output=True, text=True, cwd="/",
            timeout=timeout, check=False, stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, f"{command}: {done.returncode}: {said}"
        return said

    def sh(self, script: str, *, user: str = "", code: int | None = 0) -> str:
        return self.run("sh", "-c", script, user=user, code=code)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).strip()

    def path(self, inside: str | Path) -> Path:
        """Where a file of the box is seen from here."""
        return Path(f"/proc/{self._leader}/root{inside}")

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "-o", "cat", "--no-pager", "-u", unit)

    def halt(self) -> None:
        """End it as a machine is shut down, and at last by force; nothing of it is left."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._leader:
            os.kill(self._leader, signal.SIGRTMIN + 4)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        (self._group / "cgroup.kill").write_text("1")
        self._clear_group()
        self._leader = 0

    def close(self) -> None:
        """End it, and forget its disk."""
        self.halt()
        if self._disk is not None:
            self._disk.kill()
            self._disk.wait()
            self._disk = None

    def _made(self) -> subprocess.Popen[bytes]:
        """The disk, held by a process of its own."""
        self._anchor.mkdir(parents=True, exist_ok=True)
        # A copy of a mount that another test has would keep its program from ending.
        script = "umount --all --internal-only --lazy --types fuse.syncd; "
        script += 'mount -t tmpfs -o mode=755 tmpfs "$0" && echo made && exec sleep infinity'
        command = [*BOUND, "unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        disk = subprocess.Popen([*command, self._anchor], stdout=subprocess.PIPE)
        assert disk.stdout is not None
        with disk.stdout:
            assert disk.stdout.readline() == b"made\n"
        return disk

    def _join(self) -> None:
        # Before the namespace of cgroups is made: this one is to be its root.
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def _up(self) -> bool:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = children.read_text().split()
        if not found:
            return False
        self._leader = int(found[0])
        said = self.run("systemctl", "is-system-running", code=None)
        return any(word in said for word in ("running", "degraded"))

    def _uid(self, user: str) -> str:
        passwd = self.path("/etc/passwd").read_text().splitlines()
        return next(line.split(":")[2] for line in passwd if line.startswith(f"{user}:"))

    def _clear_group(self) -> None:
        for _ in range(100):
            folders = sorted(self._group.rglob("*"), key=lambda p: -len(p.parts))
            for folder in [*[f for f in folders if f.is_dir()], self._group]:
                try:
                    folder.rmdir()
                except OSError:
                    break
            if not self._group.exists():
                return
            time.sleep(0.05)
