"""Acting as a user whom rights bind, and mounting, where the machine lets us."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
CLONE_NEWNS = 0x20000
CAPABILITIES = 0x20080522
"""The version of capget(2) and capset(2)."""
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


@contextmanager
def as_nobody() -> Iterator[None]:
    """Rights do not bind root: act as somebody else meanwhile, where we are root."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def bound() -> Iterator[None]:
    """Rights bind this thread meanwhile as they would any owner, also where it is root's."""
    libc = ctypes.CDLL(None, use_errno=True)
    head, held = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, held) == 0, os.strerror(ctypes.get_errno())
    less = type(held)(*held)
    less[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    assert libc.capset(head, less) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        assert libc.capset(head, held) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def own_mounts() -> Iterator[None]:
    """A mount namespace for this thread: what is mounted meanwhile, nobody else sees."""
    libc, here = ctypes.CDLL(None, use_errno=True), Path.cwd()
    home = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNS):
            pytest.skip(f"no mount namespace to be had: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        yield
        end = time.monotonic() + 10  # refused while a thread that was joined is still ending
        while libc.setns(home, CLONE_NEWNS) != 0:
            assert time.monotonic() < end, os.strerror(ctypes.get_errno())
            time.sleep(0.001)
        os.chdir(here)
    finally:
        os.close(home)


def mount_at(folder: Path) -> None:
    command: list[str | Path] = ["mount", "-t", "tmpfs", "none", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no right to mount a file system: {done.stderr.strip()}")
