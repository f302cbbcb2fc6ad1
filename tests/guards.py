"""What a test must leave as it found it.

`conftest.py` wraps every test in `guarded`: a thread, descriptor, process, mount, variable or
signal disposition left behind fails the test that left it, and is then cleared away, so that the
next test does not suffer for it. A look costs well below a millisecond; only a finding is waited
for, so that what is on its way out is not called a leak.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests import proc

GRACE_SECONDS = 3.0
STOP_SECONDS = 30.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

Seen = dict[str, str]
"""What one look found: a name unique within the look, and how to tell it to a reader."""


def threads() -> Seen:
    """Threads that would keep the process, and syncd's own even where they would not."""
    return {
        str(thread.ident): f"thread {thread.name!r}"
        for thread in threading.enumerate()
        if not thread.daemon or thread.name.startswith("syncd-")
    }


def descriptors() -> Seen:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            target = os.readlink(f"/proc/self/fd/{name}")
            if target not in ("/dev/null", "/dev/urandom"):
                found[name] = f"descriptor {name} on {target}"
    return found


def mounts(below: Path) -> Seen:
    """The mounts below a folder: elsewhere another session of tests may be at work."""
    lines = Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()
    points = {line: line.split()[1] for line in lines}
    return {line: f"mount on {at}" for line, at in points.items() if at.startswith(f"{below}/")}


def settings() -> Seen:
    """The process-wide things that a test may set but must put back."""
    found = {f"${k}": f"${k}={v!r}" for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    found |= {sig.name: f"{sig.name} caught by {signal.getsignal(sig)}" for sig in SIGNALS}
    return found


@contextlib.contextmanager
def guarded(home: Path, folders: Path) -> Iterator[list[str]]:
    """Collect in the yielded list what was left behind, then put right what can be.

    All folders of this session's tests lie below `folders`. `home` is the folder that this test's
    environment names: a process that carries it is the test's, however it was started and whoever
    its parent is now.
    """
    left: list[str] = []
    pids = proc.pids()
    looks: tuple[Callable[[], Seen], ...] = (
        threads, descriptors, lambda: mounts(folders), lambda: _own(home, pids)
    )  # fmt: skip
    before = [look() for look in looks]
    directory, set_before = os.getcwd(), settings()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield left
    finally:
        left += _changed(set_before | {"cwd": directory}, settings() | {"cwd": os.getcwd()})
        os.chdir(directory)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        left += _stop_hubs(lambda: _own(home, pids))
        found = _remains(looks, before)
        _clear_away(found)
        left += [text for seen in found for text in seen.values()]


def _remains(looks: tuple[Callable[[], Seen], ...], before: list[Seen]) -> list[Seen]:
    """What is there and was not before, after a grace for what is about to end."""
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        found = [
            {name: text for name, text in look().items() if name not in old}
            for look, old in zip(looks, before, strict=True)
        ]
        if not any(found) or time.monotonic() > deadline:
            return found
        gc.collect()
        time.sleep(0.005)


def _clear_away(found: list[Seen]) -> None:
    _, opened, mounted, running = found
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    for line in mounted:
        subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
    for number in opened:
        with contextlib.suppress(OSError):
            os.close(int(number))


def _changed(before: Seen, now: Seen) -> list[str]:
    if before == now:
        return []
    return [
        f"{before.get(name, f'no {name}')} became {now.get(name, f'no {name}')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _stop_hubs(look: Callable[[], Seen]) -> list[str]:
    """End the hubs that this test's commands started: outliving a command is their design. What
    else is on its way out goes first, or it may start another hub."""
    deadline = time.monotonic() + GRACE_SECONDS
    while len(hubs := _hubs(running := look())) < len(running) and time.monotonic() < deadline:
        time.sleep(0.005)
    for pid in hubs:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(map(proc.parent, map(int, hubs))) and time.monotonic() < deadline:
        time.sleep(0.005)
    return [f"a hub that does not heed SIGTERM: {pid}" for pid in hubs if proc.parent(int(pid))]


def _hubs(running: Seen) -> list[str]:
    return [pid for pid, text in running.items() if re.search(r"syncd(\.hub\b|.* hub\b)", text)]


def _own(home: Path, before: set[int]) -> Seen:
    """Running processes newer than `before` that are children or carry `home`."""
    found = {}
    for pid in proc.pids() - before:
        parent = proc.parent(pid)
        if parent == os.getpid() or (parent and os.fsencode(home) in proc.environment(pid)):
            found[str(pid)] = f"process {pid} ({proc.command(pid)})"
    # multiprocessing's tracker lives as long as the interpreter
    return {pid: text for pid, text in found.items() if "resource_tracker" not in text}
