"""Other processes, as /proc tells of them.

Any of them may end between two looks, or be in the middle of its `exec`: then there is less to
see, and no error.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

PROC = Path("/proc")
EXEC_SECONDS = 5.0


def pids() -> set[int]:
    return {int(name) for name in os.listdir(PROC) if name.isdigit()}


def read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def state(pid: int) -> str:
    """The letter that `ps` shows, "" once nothing is left of the process."""
    return "".join(_stat(pid)[:1])


def parent(pid: int) -> int:
    """The parent of a running process; 0 once it ended, also where nobody has reaped it yet.

    Asked of `stat`: the command line of a process that has only just begun is empty as well.
    """
    return 0 if state(pid) in ("", "Z", "X") else int("".join(_stat(pid)[1:2]) or 0)


def children(pid: int) -> list[int]:
    """The children of all its threads."""
    try:
        tasks = os.listdir(PROC / str(pid) / "task")
    except OSError:
        return []
    return [int(child) for task in tasks for child in read(pid, f"task/{task}/children").split()]


def command(pid: int) -> str:
    return read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def environment(pid: int) -> bytes:
    """What a process was given. In the middle of its `exec` it has a program and nothing else yet:
    that is waited for, or the process would pass for a stranger's."""
    deadline = time.monotonic() + EXEC_SECONDS
    while not (found := read(pid, "environ")) and time.monotonic() < deadline:
        # It ended, or is the kernel's or another user's, or was given nothing.
        if not parent(pid) or not os.path.exists(PROC / str(pid) / "exe") or _bare(pid):
            break
        time.sleep(0.001)
    return found


def _bare(pid: int) -> bool:
    """Whether its environment is in its place, and of no length; before that the place is 0."""
    start, end = _stat(pid)[47:49] or ("0", "0")
    return start == end != "0"


def _stat(pid: int) -> list[str]:
    """The fields behind the name of the program, which may hold anything."""
    return read(pid, "stat").rpartition(b") ")[2].decode().split()
