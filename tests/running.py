"""A real hub in a process of its own, for tests that talk to one.

`start` returns once it answers. Whoever started it ends it: `stop` asks as a user would and
insists on a clean end, `kill` is the power cut.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.isolation import environment

PORTS = count(os.getpid() * 997)
"""Where the next hub of these tests listens: unlike those of others that run beside them."""
START_SECONDS = 45.0
"""Within the minute that a test has: one hub that came too late fails every test that shares it."""
STOP_SECONDS = 45.0


@dataclass(eq=False)
class RunningHub:
    url: str
    token: str
    data: Path
    address_file: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def log(self) -> str:
        return self.address_file.with_name("hub.log").read_text(errors="replace")

    def stop(self) -> None:
        """End it with SIGTERM; anything but exit status 0 fails the test. Again is nothing."""
        if self.process.poll() is None:
            self.thaw()
            self.process.terminate()
            status = self.process.wait(STOP_SECONDS)
            assert status == 0, f"the hub ended with {status}: {self.log}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def again(self, *options: str) -> RunningHub:
        """Start one more on the same data, after this one ended; it takes the same port."""
        return start(self.address_file.parent, *options)


def start(folder: Path, *options: str) -> RunningHub:
    """Start a hub with everything of it below `folder`; `options` are those of the hub."""
    folder.mkdir(parents=True, exist_ok=True)
    data, address_file = folder / "data", folder / "hub.json"
    address_file.unlink(missing_ok=True)
    _choose_port(data)
    command = [sys.executable, "-m", "syncd.hub"]
    command += ["--data", str(data), "--address-file", str(address_file), *options]
    with (folder / "hub.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(folder)
        )
    try:
        told = _address(process, address_file)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return RunningHub(told["url"], told["token"], data, address_file, process)


def _choose_port(data: Path) -> None:
    """One that the system gives to nobody who asks for any: it is still free when the hub comes
    back. Where it is taken, the hub takes another."""
    data.mkdir(mode=0o700, exist_ok=True)
    file = data / "port"
    if not file.exists():
        file.touch(0o600)
        file.write_text(f"{10_000 + next(PORTS) % 20_000}\n")


def _address(process: subprocess.Popen[bytes], file: Path) -> dict[str, str]:
    """What the hub wrote once it listened: it appears at once and whole."""
    deadline = time.monotonic() + START_SECONDS
    while (told := _read(file)) is None:
        log = file.with_name("hub.log")
        assert process.poll() is None, f"the hub ended at once: {log.read_text(errors='replace')}"
        assert time.monotonic() < deadline, f"no hub after {START_SECONDS} s: {log.read_text()}"
        time.sleep(0.01)
    return told


def _read(file: Path) -> dict[str, str] | None:
    """None also where the hub takes it away again, as an idle one does."""
    try:
        told: dict[str, str] = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return told
