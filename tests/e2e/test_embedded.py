"""The embedded hub: there when needed, one of it, gone when nobody is left, back when it died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.program import eventually, shelf_of
from tests.e2e.test_watch import picture


def hubs(home: Path) -> set[int]:
    """The pids of the hubs that run on this home's data."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"syncd.hub\0" in command and os.fsencode(home / "data") in command:
                found.add(int(entry.name))
    return found


def test_racing_commands_start_one_hub(home, alone, root):
    (root / "a.jpg").write_bytes(picture("a"))
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: alone("push", root, "--to", f"set-{n}"), range(8)))
    assert all("1 uploaded" in one.out for one in done)
    eventually(lambda: len(hubs(home)) == 1)  # who came second may still be about to end
    listed = alone("ls", "--json").lines
    assert sorted(one["dataset"] for one in listed) == [f"set-{n}" for n in range(8)]
    address = home / "state" / "syncd" / "hub.json"
    assert address.stat().st_mode & 0o777 == 0o600
    assert (home / "data" / "syncd" / "hub" / "token").stat().st_mode & 0o777 == 0o600


def test_it_stops_when_its_last_client_has_gone_and_not_before(home, alone, root):
    places = ("--data", home / "data" / "syncd" / "hub")
    where = ("--address-file", home / "state" / "syncd" / "hub.json")
    command = (sys.executable, "-m", "syncd.hub")
    hub = alone.start(*places, *where, "--idle", "4", command=command)
    eventually(where[1].exists)
    running = alone.watch(root)
    assert hubs(home) == {hub.pid}
    with pytest.raises(subprocess.TimeoutExpired):
        hub.process.wait(8)  # twice as long as it may idle: the watch alone keeps it
    running.stop()
    assert hub.ended() == 0
    assert not where[1].exists()


def test_one_that_was_started_by_hand_stays(home, alone, root):
    running = alone.start("hub", "--port", "0")
    running.until("listens on")
    (root / "a.jpg").write_bytes(picture("a"))
    alone("push", root, "--to", "x")
    assert hubs(home) == set(), "the commands found it"
    told = json.loads((home / "state" / "syncd" / "hub.json").read_text())
    assert told["pid"] == running.pid
    again = alone("hub", code=6)
    assert str(running.pid) in again.err
    running.stop(signal.SIGINT)
    assert not (home / "state" / "syncd" / "hub.json").exists()


def test_a_watch_starts_it_again_when_it_was_killed(home, alone, root):
    running = alone.watch(root)
    (root / "a.jpg").write_bytes(picture("a"))
    shelf_of(home, root.name).becomes({"a.jpg": picture("a")})
    (first,) = hubs(home)
    os.kill(first, signal.SIGKILL)
    (root / "b.jpg").write_bytes(picture("b"))
    eventually(lambda: hubs(home) - {first})
    eventually(lambda: json.loads((home / "state/syncd/hub.json").read_text())["pid"] != first)
    expected = {"a.jpg": picture("a"), "b.jpg": picture("b")}
    shelf_of(home, root.name).becomes(expected)
    assert len(hubs(home)) == 1
    running.stop()


def test_a_watch_outlives_a_frozen_hub(home, alone, root):
    running = alone.watch(root)
    (first,) = hubs(home)
    shelf = shelf_of(home, root.name)
    shelf.becomes({})
    os.kill(first, signal.SIGSTOP)
    try:
        (root / "a.jpg").write_bytes(picture("a"))
        status = alone("status", "--json").json["mirrors"][0]
        assert status["synced"] == 0, "nothing is called stored that is not"
    finally:
        os.kill(first, signal.SIGCONT)
    shelf.becomes({"a.jpg": picture("a")})
    assert hubs(home) == {first}, "a slow hub gets no rival"
    running.stop()
