"""A hub is copied and put back, while it runs and while it does not; mirrors then ask first."""

from __future__ import annotations

import json
import os
import signal

from tests import proc
from tests.e2e.program import eventually, shelf_of
from tests.e2e.test_watch import picture


def mirror_of(program):
    return program("status", "--json").json["mirrors"][0]


def test_a_running_hub_is_copied_and_put_back_and_the_watch_asks(home, alone, root, tmp_path):
    hub = alone.start("hub")
    hub.until("listens on")
    (root / "a.jpg").write_bytes(picture("a"))
    (root / "b.jpg").write_bytes(picture("b", 300_000))
    watching = alone.watch(root)
    shelf = shelf_of(home, root.name)
    before = {"a.jpg": picture("a"), "b.jpg": picture("b", 300_000)}
    shelf.becomes(before)

    told = alone("hub", "backup", tmp_path / "copy", "--json").json
    assert (told["blobs"], told["bytes"]) == (2, 303_000)
    assert "is there already" in alone("hub", "backup", tmp_path / "copy", code=2).err
    (root / "late.jpg").write_bytes(picture("late"))
    shelf.becomes(before | {"late.jpg": picture("late")})

    said = alone("hub", "restore", tmp_path / "copy").out
    assert "kept in" in said
    shelf.becomes(before)
    eventually(lambda: mirror_of(alone)["state"] == "paused")
    mirror = mirror_of(alone)
    assert "restored from a backup" in mirror["reason"]
    (root / "a.jpg").unlink()
    shelf.becomes(before)
    alone("approve", mirror["plan"])
    shelf.becomes({"b.jpg": picture("b", 300_000), "late.jpg": picture("late")})
    watching.stop()
    hub.stop(signal.SIGINT)


def test_a_hub_that_does_not_run_is_copied_and_put_back(home, alone, root, tmp_path):
    (root / "a.jpg").write_bytes(picture("a"))
    alone("push", root, "--to", "x")
    _stop_hub(home)
    assert alone("hub", "backup", tmp_path / "copy").out.startswith("1 contents, 2.9 KiB")
    (root / "late.jpg").write_bytes(picture("late"))
    alone("push", root, "--to", "x")
    _stop_hub(home)
    alone("hub", "restore", tmp_path / "copy")
    refused = alone("push", root, "--to", "x", code=1).err
    assert "restored from a backup" in refused
    assert len(refused.splitlines()) == 1
    plan = mirror_of(alone)["plan"]
    assert plan in refused
    assert [item["name"] for item in alone("ls", "x", "--json").lines] == ["a.jpg"]
    alone("approve", plan)
    alone("push", root, "--to", "x")
    shelf_of(home, "x").becomes({"a.jpg": picture("a"), "late.jpg": picture("late")})


def test_what_is_no_backup_is_refused(alone, root, tmp_path):
    assert "no hub's data" in alone("hub", "backup", tmp_path / "copy", code=4).err
    (root / "a.jpg").write_bytes(picture("a"))
    alone("push", root, "--to", "x")
    assert "no finished backup" in alone("hub", "restore", root, code=4).err
    alone("hub", "backup", tmp_path / "copy")
    victim = next(path for path in (tmp_path / "copy").rglob("*") if "pack" in str(path)
                  and path.is_file())  # fmt: skip
    victim.write_bytes(b"\0" * victim.stat().st_size)
    refused = alone("hub", "restore", tmp_path / "copy", code=1).err
    assert len(refused.splitlines()) == 1
    assert alone("verify", "x").out == "x: 1 checked, 0 wrong\n"


def _stop_hub(home):
    pid = json.loads((home / "state" / "syncd" / "hub.json").read_text())["pid"]
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not proc.parent(pid))  # its address goes first, its lock at the very end
