"""The thread that speaks through the mount: whose descriptors are its own."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from syncd.mount.teller import Teller


@pytest.fixture
def teller():
    made = Teller()
    yield made
    made.close()


def opened() -> set[int]:
    return {int(one.name) for one in Path("/proc/thread-self/fd").iterdir()}


def test_it_answers_from_one_thread(teller):
    assert teller.ask(threading.get_native_id) == teller.ask(threading.get_native_id)
    assert teller.ask(threading.get_native_id) != threading.get_native_id()


def test_what_is_raised_there_is_raised_here(teller):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        teller.ask(lambda: os.stat("nowhere"))
    assert teller.ask(lambda: 1) == 1


def test_it_holds_nothing_open_that_others_have_open(teller, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    held = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        assert len(teller.ask(opened)) <= 4  # the standard ones, and that of the look
        assert os.pread(held, 7, 0) == b"content"
    finally:
        os.close(held)


def test_closed_it_answers_nobody(teller):
    assert teller.ask(lambda: 1) == 1
    teller.close()
    with pytest.raises(OSError, match="being ended") as refused:
        teller.ask(lambda: 1)
    assert refused.value.errno == errno.ENOTCONN
