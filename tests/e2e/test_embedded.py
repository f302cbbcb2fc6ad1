"""The embedded hub: there when needed, one of it, gone when nobody is left, back when it died."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.daemon.embedded import IDLE_S
from tests import proc
from tests.e2e.program import eventually, shelf_of
from tests.e2e.test_watch import picture


def hubs(home: Path) -> set[int]:
    """The pids of the hubs that run on this home's data."""
    data = os.fsencode(home / "data")
    commands = {pid: proc.read(pid, "cmdline") for pid in proc.pids()}
    return {pid for pid, told in commands.items() if b"syncd.hub\0" in told and data in told}


def test_racing_commands_start_one_hub(home, alone, root):
    (root / "a.jpg").write_bytes(picture("a"))
    # Not more of them: every one starts a hub, and all share the processors until one is there.
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: alone("push", root, "--to", f"set-{n}"), range(4)))
    assert all("1 uploaded" in one.out for one in done)
    eventually(lambda: len(hubs(home)) == 1)  # who came second may still be about to end
    listed = alone("ls", "--json").lines
    assert sorted(one["dataset"] for one in listed) == [f"set-{n}" for n in range(4)]
    address = home / "state" / "syncd" / "hub.json"
    assert address.stat().st_mode & 0o777 == 0o600
    assert (home / "data" / "syncd" / "hub" / "token").stat().st_mode & 0o777 == 0o600


def test_the_token_of_the_hub_itself_may_be_named(home, alone, root):
    (root / "a.jpg").write_bytes(picture("a"))
    alone("push", root, "--to", "x")
    token = home / "data" / "syncd" / "hub" / "token"
    assert [item["name"] for item in alone("ls", "x", "--token-file", token, "--json").lines]
    assert alone("push", root, "--to", "x", "--token-file", token, "--json").json["success"]


FASTER = 20


@pytest.fixture
def fast(alone, tmp_path):
    """The program, whose hub's clock runs faster than those of others."""
    folder = tmp_path / "faster"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'syncd.hub' in sys.orig_argv:\n"
        "    slow = time.monotonic\n"
        f"    time.monotonic = lambda: slow() * {FASTER}\n"
    )
    before = os.environ.get("PYTHONPATH")
    alone.extra["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    return alone


def test_it_stops_a_minute_after_its_last_client(home, fast, root):
    assert IDLE_S == 60
    running = fast.watch(root)
    (hub,) = hubs(home)
    time.sleep(2 * IDLE_S / FASTER)
    assert hubs(home) == {hub}, "the watch keeps it"
    began = time.monotonic()
    running.stop()
    eventually(lambda: not hubs(home))
    assert time.monotonic() - began > 0.5 * IDLE_S / FASTER, "not at once"
    assert not (home / "state" / "syncd" / "hub.json").exists()
    fast.watch(root)  # one that keeps it: hubs of this clock are soon gone again
    assert hubs(home) not in (set(), {hub}), "the next command has one again"


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


def test_a_push_starts_it_again_when_it_was_killed(home, alone, root):
    large = picture("a") + bytes(9_000_000)  # Sent in parts, so that one can see it on its way.
    (root / "a.jpg").write_bytes(large)
    (root / "b.jpg").write_bytes(picture("b"))
    running = alone.start("push", root, "--to", "x", "--bandwidth", "2MB/s")
    eventually(lambda: list((home / "data/syncd/hub").glob("uploads/*")))
    (first,) = hubs(home)
    os.kill(first, signal.SIGKILL)
    assert running.ended() == 0, running.said
    shelf_of(home, "x").becomes({"a.jpg": large, "b.jpg": picture("b")})
    assert hubs(home) - {first}


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
