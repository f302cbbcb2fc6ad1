"""The read lease against writers that come between, leases of others, and none to be had."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.errors import UnsettledError
from syncd.local import read as module
from syncd.local.read import Content, LeaselessError, read
from tests.local.rights import as_nobody

KEEP = 64 * 1024


def whole(root: Path, path: str, *, keep: int = KEEP, settled: bool = False) -> Content:
    return read(root, path, keep=keep, settled=settled)


WRITING = """
import os, sys
n = 0
while True:
    n = (n + 1) % 256
    fd = os.open(sys.argv[1], os.O_WRONLY)
    os.pwrite(fd, bytes([n]) * 4096, 0)
    os.close(fd)
    if n == 1:
        print(flush=True)
"""

READING = f"""
import signal, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from syncd.errors import UnsettledError
from syncd.local.read import read
broken = []
if sys.argv[2] == "count":
    signal.signal(signal.SIGURG, lambda *_: broken.append(1))
end = time.monotonic() + 1
while time.monotonic() < end:
    try:
        assert len(set(read(Path(sys.argv[1]), "x.jpg", keep=10**6, settled=False).data)) == 1
    except UnsettledError:
        pass
print(len(broken))
"""


@pytest.fixture
def racing_writer(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "x.jpg").write_bytes(b"\0" * 4096)
    command: list[str | Path] = [sys.executable, "-c", WRITING, tmp_path / "x.jpg"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield writer
        writer.stdout.close()
        writer.kill()


def test_a_lease_broken_by_a_racing_writer_does_no_harm(
    tmp_path: Path, racing_writer: subprocess.Popen[bytes]
) -> None:
    """The kernel signals whoever holds a lease that is broken; by default that ends a process.

    The reader is a process of its own, because its end is the failure. Counting what is
    otherwise ignored shows that leases are broken: thousands of times a second on two idle
    cores, now and then on a busy machine. What each does is held by the next test.
    """
    for how in ("count", "plain"):
        command: list[str | Path] = [sys.executable, "-c", READING, tmp_path, how]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr)
        print(how, "leases broken:", done.stdout)
    assert racing_writer.poll() is None


def test_a_broken_lease_signals_sigurg_and_no_sigio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above rests on, without the race: here the lease is not given back."""

    def holding(fd: int, command: int, value: int) -> object:
        return 0 if value == fcntl.F_UNLCK else control(fd, command, value)

    control = fcntl.fcntl
    monkeypatch.setattr(fcntl, "fcntl", holding)
    (tmp_path / "x.jpg").touch()
    fd = os.open(tmp_path / "x.jpg", os.O_RDONLY)
    got: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: got.append(number))
        for number in (signal.SIGURG, signal.SIGIO)
    }
    try:
        module._probe(fd, "x.jpg")
        with pytest.raises(BlockingIOError):
            os.open(tmp_path / "x.jpg", os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.01)
        assert got == [signal.SIGURG]
        control(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    finally:
        os.close(fd)
        for number, handler in before.items():
            signal.signal(number, handler)


def test_no_lease_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"abc")
    whole(tmp_path, "x.jpg")
    os.close(os.open(tmp_path / "x.jpg", os.O_WRONLY | os.O_NONBLOCK))


def test_a_writer_may_come_while_it_is_read(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "x.jpg").write_bytes(b"abc")
    true = module._bytes

    def meanwhile(fd: int, size: int, keep: int) -> tuple[bytes | None, str, int]:
        os.close(os.open(tmp_path / "x.jpg", os.O_WRONLY | os.O_NONBLOCK))
        return true(fd, size, keep)

    monkeypatch.setattr(module, "_bytes", meanwhile)
    assert whole(tmp_path, "x.jpg").data == b"abc"


def test_a_write_lease_of_another_program_is_waited_for(tmp_path: Path) -> None:
    """Samba takes these for its clients; opening the file asks it to give the lease back."""
    (tmp_path / "x.jpg").write_bytes(b"abc")
    code = (
        "import fcntl, os, signal, sys; signal.signal(signal.SIGIO, lambda *_: None);"
        "fd = os.open(sys.argv[1], os.O_RDWR);"
        "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "x.jpg"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(UnsettledError, match="held by another program"):
            whole(tmp_path, "x.jpg")
        holder.communicate()
    assert whole(tmp_path, "x.jpg").data == b"abc"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_without_leases_two_looks_have_to_do(public: Path) -> None:
    (public / "x.jpg").write_bytes(b"abc")
    os.chown(public / "x.jpg", 1, 1)
    with as_nobody():
        with pytest.raises(LeaselessError):
            whole(public, "x.jpg")
        assert whole(public, "x.jpg", settled=True).data == b"abc"
