"""What breaks: hubs that die or lie, commands that are killed, state that is damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from syncd.engine.pull import _part
from tests.e2e.program import Program, Shelf, eventually
from tests.e2e.test_watch import picture
from tests.running import RunningHub


@pytest.fixture
def own(start_hub: Callable[..., RunningHub]) -> RunningHub:
    """A hub of the test's own, to be harmed."""
    return start_hub()


@pytest.fixture
def program(home, own):
    program = Program(home, {"SYNCD_REMOTE": own.url, "SYNCD_TOKEN": own.token})
    yield program
    program.end()


def fill(root: Path, count: int, size: int = 3000) -> dict[str, bytes]:
    pictures = {f"{number:04}.jpg": picture(number, size) for number in range(count)}
    for name, content in pictures.items():
        (root / name).write_bytes(content)
    return pictures


def test_a_corrupted_byte_is_seen(program, own, root, tmp_path):
    fill(root, 3, 200_000)
    pictures = fill(root, 3, 200_000)
    (root / "small.jpg").write_bytes(b"a small picture, kept in a pack")
    program("push", root, "--to", "x")
    assert program("verify", "x", "--json").json["checked"] == 4
    _corrupt(own.data, b"a small picture, kept", pictures["0001.jpg"][:100])
    told = program("verify", "x", "--json", code=1).json
    assert {wrong["path"] for wrong in told["wrong"]} == {"small.jpg", "0001.jpg"}
    pulled = program("pull", "x", tmp_path / "back", "--json", code=1).json
    assert {failure["path"] for failure in pulled["failed"]} == {"small.jpg", "0001.jpg"}
    assert sorted(p.name for p in (tmp_path / "back").glob("*.jpg")) == ["0000.jpg", "0002.jpg"]
    assert program("get", "x/small.jpg", "-o", tmp_path / "s.jpg", code=1).err
    assert not (tmp_path / "s.jpg").exists()


def _corrupt(data: Path, *needles: bytes) -> None:
    for needle in needles:
        found = 0
        for file in (p for p in data.rglob("*") if p.is_file() and "catalogue" not in p.name):
            content = file.read_bytes()
            if needle in content:
                found += 1
                with file.open("r+b") as out:
                    out.seek(content.index(needle))
                    out.write(needle[:5].swapcase() + bytes([needle[5] ^ 1]))
        assert found, "the hub keeps it elsewhere"


def test_a_pull_is_resumed_after_a_kill(program, own, root, tmp_path):
    content = os.urandom(96 << 20)
    (root / "big.mp4").write_bytes(content)
    program("push", root, "--to", "x")
    back = tmp_path / "back"
    for _ in range(10):
        shutil.rmtree(back, ignore_errors=True)
        if _killed_half_way(program, own, back):
            break
    assert list(back.glob(".syncd-part-*")), "it was always too quick to be killed"
    done = program("pull", "x", back, "--json").json
    assert (back / "big.mp4").read_bytes() == content
    assert done["bytes"] < len(content), "it began where it was"
    assert [p.name for p in back.iterdir()] == ["big.mp4"]


def _killed_half_way(program: Program, own: RunningHub, back: Path) -> bool:
    """Kill a pull that has begun; whether it was not done yet: all takes tenths of a second."""
    pulling = program.start("pull", "x", back)
    while not _begun(back) and pulling.process.poll() is None:
        time.sleep(0.001)
    own.freeze()
    pulling.kill()
    own.thaw()
    return not (back / "big.mp4").exists()


def _begun(back: Path) -> bool:
    with suppress(FileNotFoundError):  # it just got its name
        return any(part.stat().st_size > 0 for part in back.glob(".syncd-part-*"))
    return True


def test_a_torn_part_is_not_believed(program, own, root, tmp_path):
    (root / "a.jpg").write_bytes(picture("a", 100_000))
    program("push", root, "--to", "x")
    place = tmp_path / "back" / "a.jpg"
    place.parent.mkdir()
    part = _part(Shelf(own.url, own.token, "x").items()["a.jpg"], place)
    part.write_bytes(b"not this" * 100)
    program("pull", "x", place.parent)
    assert place.read_bytes() == picture("a", 100_000)
    assert not part.exists(), "it was not seen, or not taken for the rest"


def test_a_hub_that_dies_mid_way_ends_a_push_with_5_and_again_goes_on(program, own, root):
    pictures = fill(root, 2000)
    with open(root / "0000.jpg", "ab") as file:
        os.posix_fallocate(file.fileno(), 0, 64 << 20)
    pictures["0000.jpg"] = (root / "0000.jpg").read_bytes()
    # Slow enough to be seen: all of it would be there in less than a second.
    pushing = program.start("push", root, "--to", "x", "--bandwidth", "8MB/s")
    shelf = Shelf(own.url, own.token, "x")
    eventually(lambda: (own.data / "uploads").exists() and any((own.data / "uploads").iterdir()))
    own.kill()
    assert pushing.ended() == 5, pushing.said
    assert "does not answer" in pushing.said
    again = own.again()
    try:
        done = program("push", root, "--to", "x", "--json").json
        assert done["success"]
        shelf.becomes(pictures)
    finally:
        again.stop()


def test_a_watch_goes_on_when_its_hub_comes_back(program, own, root):
    (root / "a.jpg").write_bytes(picture("a"))
    running = program.watch(root, "--to", "x")
    shelf = Shelf(own.url, own.token, "x")
    shelf.becomes({"a.jpg": picture("a")})
    own.kill()
    (root / "b.jpg").write_bytes(picture("b"))
    eventually(lambda: _mirror(program)["state"] == "waiting")
    mirror = _mirror(program)
    assert "does not answer" in mirror["reason"]
    assert (mirror["synced"], mirror["pending"]) == (1, 1)
    assert "not safe" in program("status", root / "b.jpg", code=1).out
    again = own.again()
    try:
        shelf.becomes({"a.jpg": picture("a"), "b.jpg": picture("b")})
        eventually(lambda: _mirror(program)["state"] == "watching")
        running.stop()
    finally:
        again.stop()


def test_a_watch_begins_before_its_hub_and_retry_hurries_it(program, own, root):
    (root / "a.jpg").write_bytes(picture("a"))
    own.stop()
    running = program.start("watch", root, "--to", "x")
    running.until("not reachable")
    mirror = _mirror(program)
    assert (mirror["root"], mirror["dataset"]) == (str(root), "x")
    again = own.again()
    try:
        Shelf(own.url, own.token, "x").becomes({"a.jpg": picture("a")})
        running.stop()
    finally:
        again.stop()


def test_a_watch_whose_token_is_refused_ends_with_7(program, own, root, home):
    (home / "token").write_text("wrong")
    watching = program.start("watch", root, "--to", "x", "--token-file", home / "token")
    assert watching.ended() == 7
    assert "check the token" in watching.said
    assert len(watching.said.splitlines()) == 1


def test_a_damaged_state_file_names_the_way_back(program, own, root, home):
    pictures = fill(root, 20)
    program("push", root, "--to", "x")
    (file,) = (home / "state" / "syncd" / "mirrors").glob("*/state.db")
    file.write_bytes(b"not a database, whatever it was" * 100)
    for side in ("-wal", "-shm"):
        file.with_name(file.name + side).unlink(missing_ok=True)
    told = program("push", root, "--to", "x", code=1).err
    assert "delete it" in told
    assert len(told.splitlines()) == 1
    assert "delete it" in program("status", code=1).err
    assert "delete it" in program("history", code=1).err
    doctor = program("doctor", "--json", code=1).json
    assert [f["check"] for f in doctor if not f["ok"]] == ["states"]
    file.unlink()
    done = program("push", root, "--to", "x", "--json").json
    assert (done["uploaded"], done["skipped"], done["bytes"]) == (0, 20, 0), "adopted by digest"
    Shelf(own.url, own.token, "x").becomes(pictures)


@pytest.mark.parametrize("damage", ["rubbish", "torn", "empty", "a folder"])
def test_a_damaged_state_file_leaves_the_other_mirrors_alone(program, own, root, home, damage):
    other = root.with_name("other")
    other.mkdir()
    for folder in (root, other):
        fill(folder, 3)
        program("push", folder, "--to", folder.name)
    (file,) = (home / "state" / "syncd" / "mirrors").glob("inbox-*/state.db")
    harm(file, damage)
    told = program("status", "--json", code=1)
    states = {mirror["state"]: mirror for mirror in told.json["mirrors"]}
    assert states.keys() == {"damaged", "stopped"}
    assert states["stopped"]["synced"] == 3
    assert states["damaged"]["name"].startswith("inbox")
    assert f"{file}" in states["damaged"]["reason"]
    assert "delete it" in states["damaged"]["reason"]
    assert told.err.count("delete it") == 1
    shown = program("status", code=1).out
    assert f"{other} -> other\n  stopped" in shown
    assert "inbox" in shown
    assert "safe: stored" in program("status", other / "0000.jpg").out
    assert "delete it" in program("status", root / "0000.jpg", code=4).err
    assert len(program("history", "--json", code=1).lines) >= 3
    assert program("history", other, "--json", code=1).lines
    assert "delete it" in program("push", root, "--to", "inbox", "--dry-run", code=1).err
    retried = program("retry", code=1)
    assert f"{other} -> other: " in retried.out
    assert "delete it" in retried.err
    paused = program("pause", other)
    assert str(other) in paused.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_state_that_cannot_be_written_is_still_told(program, own, root, home):
    fill(root, 3)
    program("push", root, "--to", "x")
    mirrors = home / "state" / "syncd" / "mirrors"
    shut = f"mount --bind {mirrors} {mirrors} && mount -o remount,bind,ro {mirrors}"
    if (tried := unshared(shut)).returncode:
        pytest.skip(f"nothing can be mounted read-only here: {tried.stderr.decode()}")

    def said(*args: object) -> tuple[int, str]:
        words = " ".join(map(str, args))
        done = unshared(f"{shut} && {sys.executable} -m syncd {words}", program.extra)
        assert b"Traceback" not in done.stderr
        return done.returncode, (done.stdout + done.stderr).decode()

    code, told = said("status", "--json")
    assert code == 0
    assert '"synced": 3' in told
    assert said("status", root / "0000.jpg")[0] == 0
    assert said("history", "--json")[0] == 0
    assert said("push", root, "--to", "x", "--dry-run")[0] == 0
    for order in (("push", root, "--to", "x"), ("retry",), ("pause", root)):
        code, told = said(*order)
        assert (code, "Read-only file system" in told, str(mirrors) in told) == (1, True, True)


def unshared(
    script: str, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it where what it mounts is seen by nobody else."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, **(extra or {})}, capture_output=True, check=False,
    )  # fmt: skip


def harm(file: Path, damage: str) -> None:
    for side in ("-wal", "-shm"):
        file.with_name(file.name + side).unlink(missing_ok=True)
    content = file.read_bytes()
    if damage == "a folder":
        file.unlink()
        file.mkdir()
    else:
        file.write_bytes(
            {"rubbish": b"not a database" * 100, "torn": content[:5000], "empty": b"\0" * 5000}[
                damage
            ]
        )


def test_a_state_of_a_newer_syncd_is_left_alone(program, own, root, home):
    program("push", root, "--to", "x")
    (file,) = (home / "state" / "syncd" / "mirrors").glob("*/state.db")
    with sqlite3.connect(file) as sql:
        sql.execute("PRAGMA user_version = 99")
    sql.close()
    assert "update syncd" in program("push", root, "--to", "x", code=1).err


def test_a_state_that_cannot_be_written_is_told(program, root):
    program.extra["SYNCD_STATE_DIR"] = "/proc/nowhere"
    told = program("push", root, "--to", "x", code=1).err
    assert "/proc/nowhere" in told
    assert "XDG_STATE_HOME" in told
    assert len(told.splitlines()) == 1


def test_a_full_hub_ends_a_push_for_good_and_a_watch_waits_for_room(start_hub, home, root):
    hub = start_hub("--min-free", str(1 << 60))
    program = Program(home, {"SYNCD_REMOTE": hub.url, "SYNCD_TOKEN": hub.token})
    (root / "a.jpg").write_bytes(picture("a"))
    done = program("push", root, "--to", "x", "--json", code=7).json
    assert done["success"] is False
    assert "free" in done["failed"][0]["reason"]
    watching = program.watch(root, "--to", "x")
    try:
        eventually(lambda: "nearly full" in _mirror(program)["reason"])
        hub.stop()
        hub = hub.again("--min-free", "0")
        Shelf(hub.url, hub.token, "x").becomes({"a.jpg": picture("a")})
    finally:
        watching.stop()
        hub.stop()


def test_commands_beside_a_busy_daemon_are_answered(program, own, root):
    running = program.watch(root, "--to", "x")
    writer = threading.Thread(target=fill, args=(root, 1500))
    writer.start()
    try:
        assert "tried again" in program("retry").out
        assert "sweep" in program("sweep").out
        assert program("status", "--json").json["mirrors"][0]["pid"] == running.pid
    finally:
        writer.join()
    Shelf(own.url, own.token, "x").becomes(fill(root, 0) | _read(root))


def _read(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.glob("*.jpg")}


def _mirror(program):
    return program("status", "--json").json["mirrors"][0]
