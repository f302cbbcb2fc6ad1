"""A real mount in a process of its own, for tests that read through one.

Whoever starts it ends it: `stop` asks as a user would, `kill` leaves the dead mount that a crash
leaves. `Signs` is the dataset behind it, changed as another machine would change it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from syncd.model import Item
from syncd.mount import point as points
from syncd.remotes.base import Removal, Upload
from syncd.remotes.hub import HubDataset, HubRemote
from tests.isolation import environment
from tests.running import RunningHub

T = TypeVar("T")
START_S = 30.0
STOP_S = 20.0
RUN = """
import runpy
runpy.run_module("syncd", run_name="__main__", alter_sys=True)
"""
CATCHES_UP = "import syncd.daemon.mount as at; at.CATCH_UP_S = 30.0"
"""To be run before a mount that is to hear of everything first, however slow the disk."""


def reason() -> str | None:
    """Why nothing can be mounted here; None where it can."""
    return points.lacking()


def until(look: Callable[[], T], seconds: float = 10.0) -> T:
    """What `look` returns once it is true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.005)
    return found


@dataclass
class Mounted:
    point: Path
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def __truediv__(self, key: str) -> Path:
        return self.point / key

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal; it unmounts. Again is nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            assert self.process.wait(STOP_S) == 0, (self.process.returncode, self.log)
        assert points.mounted(self.point) is None, "still mounted"
        assert "Traceback" not in self.log, self.log

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def clear(self) -> None:
        """Whatever it came to: no process, no mount."""
        self.process.kill()
        while points.mounted(self.point):
            subprocess.run(["fusermount", "-uz", str(self.point)], check=True)
        self.process.wait(STOP_S)


def stuck() -> list[str]:
    """Processes in uninterruptible sleep within FUSE, of anybody: also who waits there for a moment
    while another looks a name up in the same folder. Only who stays there hangs."""
    found = []
    for status in Path("/proc").glob("[0-9]*/task/*/stat"):
        try:
            fields = status.read_text().rpartition(") ")[2].split()
            waits = status.with_name("wchan").read_text()
        except OSError:
            continue
        if fields[0] == "D" and ("fuse" in waits or "request_wait" in waits):
            found.append(status.parent.name)
    return found


def start(hub: RunningHub, home: Path, point: Path, *options: str, before: str = "") -> Mounted:
    """Begin `syncd mount ... --foreground`, `before` being run first; returns when it answers."""
    env = {"SYNCD_REMOTE": hub.url, "SYNCD_TOKEN": hub.token}
    words = ["-c", before + RUN, "mount", *options, str(point), "--foreground"]
    return serve(words, home, point, env)


def serve(words: Sequence[str], home: Path, point: Path, env: dict[str, str]) -> Mounted:
    """Have Python run something that mounts there; returns when it answers."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "mount.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(home) | env,
        )  # fmt: skip
    mounted = Mounted(point, process, log)
    deadline = time.monotonic() + START_S
    while "mounted on" not in mounted.log:
        if process.poll() is not None or time.monotonic() > deadline:
            mounted.clear()
            raise AssertionError(f"no mount: {mounted.log}")
        time.sleep(0.01)
    return mounted


@dataclass
class Signs:
    """A dataset of a hub, in the hands of another machine."""

    dataset: HubDataset
    folder: Path
    items: dict[str, Item] = field(default_factory=dict)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Store these, whatever is there."""
        batch = [self._upload(key, content) for key, content in files.items()]
        for outcome in self.dataset.put(batch):
            assert outcome.error is None, outcome
            assert outcome.item is not None
            self.items[outcome.key] = outcome.item

    def trash(self, *keys: str) -> None:
        gone = [self.items.pop(key) for key in keys]
        removals = [Removal(item_id=i.id, expect=i.version, key=i.key) for i in gone]
        assert all(outcome.error is None for outcome in self.dataset.remove(removals))

    def _upload(self, key: str, content: bytes) -> Upload:
        there = self.items.get(key)
        small = len(content) <= 4 << 20
        file = self.folder / "content"
        if not small:
            file.write_bytes(content)
        return Upload(
            key=key, digest=sha256(content).hexdigest(), size=len(content), file=file,
            content=content if small else None, modified_ns=1_600_000_000_000_000_000,
            expect=there.version if there else None, item_id=there.id if there else None,
        )  # fmt: skip


@contextmanager
def signs(hub: RunningHub, name: str, folder: Path) -> Iterator[Signs]:
    remote = HubRemote(hub.url, hub.token)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        dataset = remote.open(name, create=True, source="another machine")
        yield Signs(dataset, folder, {item.key: item for item in dataset.items()})
    finally:
        remote.close()


def content(number: int, size: int) -> bytes:
    """Bytes that no other number has anywhere: every 16 of them tell number and place."""
    word = number.to_bytes(8, "big")
    blocks = range(0, size + 16, 16)
    return b"".join(word + at.to_bytes(8, "big") for at in blocks)[:size]


def whole(path: Path | int) -> bytes:
    """A file read anew, from its first byte to its last."""
    if isinstance(path, Path):
        return path.read_bytes()
    return os.pread(path, 1 << 30, 0)


SIZE = 300_000
FILES = {f"a/{n}.jpg": content(n, SIZE) for n in range(30)} | {"b.jpg": content(99, SIZE)}
"""What the hub of the fixture `own` holds."""
