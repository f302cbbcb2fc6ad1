"""The lock on a hub's data: who comes while the one before closes waits for it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from syncd.errors import BusyError
from syncd.hub import lock
from syncd.hub.lock import locked
from tests.hub.asking import asking, packed, put


def take(data):
    """Hold the data folder for a moment, and say what its lock tells."""
    with locked(data):
        return (data / "lock").read_text()


def test_a_hub_that_is_closing_is_waited_for(start_hub, monkeypatch):
    monkeypatch.setattr(lock, "CLOSING_S", 30.0)
    hub = start_hub("--min-free", "0")
    frame, taking = packed([put("a", b"x")]), []

    def parts():
        """A body whose last piece comes when somebody waits: the hub cannot end before it."""
        yield frame[:10]
        hub.process.terminate()
        while hub.address_file.exists():
            time.sleep(0.01)
        taking.append(pool.submit(take, hub.data))
        with suppress(TimeoutError):
            taking[0].result(0.2)
        yield frame[10:]

    with asking(hub) as pets, ThreadPoolExecutor(1) as pool:
        pets.http.post(f"{pets.base}/batch", content=parts())
        assert taking[0].result() == f"{os.getpid()}\n"
    assert hub.process.wait(15) == 0


def test_a_hub_that_closes_for_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "CLOSING_S", 0.1)
    with locked(tmp_path):
        lock.closing(tmp_path)
        with pytest.raises(BusyError, match=f"process {os.getpid()}$"):
            take(tmp_path)


def test_a_hub_that_is_not_closing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "CLOSING_S", 1000.0)
    (tmp_path / "lock").write_text("1234567 closing\n")  # of one that ended long ago
    with locked(tmp_path), pytest.raises(BusyError, match=f"process {os.getpid()}$"):
        take(tmp_path)


def test_the_lock_of_another_hub_is_not_marked(tmp_path):
    """The folder was moved away under a hub, and another one runs in its place."""
    (tmp_path / "lock").write_text("1234567\n")
    lock.closing(tmp_path)
    assert (tmp_path / "lock").read_text() == "1234567\n"
