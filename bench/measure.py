"""What a run cost: wall clock, CPU, memory, system calls, and what else used the machine.

Everything comes from the kernel: rusage and /proc of the processes that were started here, and
/proc/stat for the CPU that belongs to nobody here. Linux only.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

TICK = os.sysconf("SC_CLK_TCK")
DISTURBED = 0.3
"""Cores used by others above which a row is called disturbed."""


class BenchError(Exception):
    """The benchmark itself went wrong, so that there is nothing to report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One command: seconds, CPU seconds, peak memory in bytes, read calls, exit code and words."""

    seconds: float
    cpu: float
    rss: int
    reads: int
    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timed run of a contestant. `others` is the number of cores that somebody else used."""

    seconds: float
    cpu: float
    rss: int
    server_cpu: float
    server_rss: int
    others: float
    reads: int
    output: str


class Program:
    """A process that goes on in the background; leaving the context asks it to stop."""

    def __init__(
        self, argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("wb") as out:
            self._child = subprocess.Popen(argv, stdout=out, stderr=out, env=env)
        self.pid = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def check(self) -> None:
        """Raise BenchError with the last of its log if the process has ended."""
        if self._child.poll() is not None:
            raise BenchError(f"a process ended that should not: {self.log.read_text()[-2000:]}")

    def await_port(self, port: int) -> None:
        """Wait until it listens there."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self.check()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise BenchError(f"nobody listens on port {port}: {self.log.read_text()[-2000:]}")

    def cpu(self) -> float:
        """CPU seconds it and its children have used."""
        return sum(cpu_of(pid) for pid in family(self.pid))

    def peak(self) -> int:
        """The most resident bytes it and its children had, each at its own moment."""
        return sum(_status(pid, "VmHWM") for pid in family(self.pid))

    def resident(self) -> int:
        """Resident bytes of it and its children."""
        return sum(_status(pid, "VmRSS") for pid in family(self.pid))


def run(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Cost:
    """Run one command to its end. Peak memory has a floor: what this program itself has."""
    start = time.monotonic()
    # Output goes to files: a pipe that nobody reads would stop the command.
    with TemporaryFile() as out, TemporaryFile() as errors:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=env)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        seconds = time.monotonic() - start
        reads = _reads(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return Cost(
            seconds=seconds,
            cpu=usage.ru_utime + usage.ru_stime,
            rss=usage.ru_maxrss * 1024,
            reads=reads,
            code=child.returncode,
            output=_text(out),
            errors=_text(errors),
        )


def timed(
    *commands: Sequence[str],
    server: Program | None = None,
    env: Mapping[str, str] | None = None,
    accept: Callable[[int], bool] = lambda code: code == 0,
) -> Sample:
    """Run the commands one after the other as one timed run; raise BenchError if one fails."""
    served, busy = server.cpu() if server else 0.0, machine_cpu()
    start = time.monotonic()
    costs = [run(command, env=env) for command in commands]
    seconds = time.monotonic() - start
    for command, cost in zip(commands, costs, strict=True):
        if not accept(cost.code):
            said = cost.errors + cost.output
            raise BenchError(f"{list(command)} ended with {cost.code}: {said[-2000:]}")
    cpu = sum(cost.cpu for cost in costs)
    server_cpu = server.cpu() - served if server else 0.0
    return Sample(
        seconds=seconds,
        cpu=cpu,
        rss=max(cost.rss for cost in costs),
        server_cpu=server_cpu,
        server_rss=server.peak() if server else 0,
        others=max(0.0, machine_cpu() - busy - cpu - server_cpu) / seconds,
        reads=sum(cost.reads for cost in costs),
        output=costs[0].output,
    )


def quiet(limit: float = 12.0) -> None:
    """Wait until nobody else uses more than 0.15 cores, at most `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        busy, start = machine_cpu(), time.monotonic()
        time.sleep(0.5)
        if (machine_cpu() - busy) / (time.monotonic() - start) < 0.15:
            return


def machine_cpu() -> float:
    """CPU seconds that the whole machine has used, stolen ones included."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICK


def cpu_of(pid: int) -> float:
    """CPU seconds a process has used, with those of children it waited for; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / TICK


def family(pid: int) -> list[int]:
    """The process and everything it started that still runs."""
    members = [pid]
    for member in members:
        for tasks in Path(f"/proc/{member}/task").glob("*/children"):
            members += map(int, tasks.read_text().split())
    return members


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _status(pid: int, field: str) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line.split() for line in text.splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == f"{field}:"), 0)


def _reads(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("syscr:"))
