"""What the machine is, so that a figure can be judged: hardware, disk, versions."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import peers
from bench.report import table

PACKAGES = ("watchdog", "httpx", "uvicorn", "fastapi", "sqlalchemy", "sqlite-utils")


def facts(work: Path) -> dict[str, str]:
    """Everything worth knowing, as words; nothing that names the machine or its folders."""
    found = {
        "time": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{os.cpu_count()} x {_line('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB",
        "system": f"{_line('/etc/os-release', 'PRETTY_NAME')}, Linux {platform.release()}",
        "disk": f"{_file_system(work)}, append and fdatasync {_fdatasync(work):.2f} ms",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "Python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(_packages()),
    }
    for name in ("rclone", "rsync", "lsyncd"):
        found[name] = peers.version(name) if shutil.which(name) else "**absent: left out**"
    return found


def markdown(found: dict[str, str]) -> str:
    return table(["machine", ""], list(found.items()))


def _line(file: str, key: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(key):
            return line[len(key) :].strip("\t :=").strip('"')
    return "unknown"


def _file_system(work: Path) -> str:
    device = work.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    kinds = [mount[mount.index("-") + 1] for mount in mounts if mount[2] == number]
    return kinds[0] if kinds else "a file system without a mount"


def _fdatasync(work: Path) -> float:
    """The median milliseconds of making 4 KiB durable: what durability costs on this disk."""
    took = []
    file = work / "probe"
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(50):
            start = time.perf_counter()
            os.write(fd, bytes(4096))
            os.fdatasync(fd)
            took.append(time.perf_counter() - start)
    finally:
        os.close(fd)
        file.unlink()
    return statistics.median(took) * 1000


def _packages() -> list[str]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
