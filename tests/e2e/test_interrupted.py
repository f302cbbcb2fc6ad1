"""Commands that a person breaks off, and disks that are full: one line, and again goes on."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.e2e.program import eventually
from tests.e2e.test_watch import picture


@pytest.fixture
def stored(syncd, root, name):
    """3,000 pictures, some of them large, in this test's dataset."""
    for number in range(3000):
        (root / f"{number:04}.jpg").write_bytes(picture(number, 500))
    for number in range(8):
        (root / f"big{number}.mp4").write_bytes(picture(number, 20 << 20))
    return root


def test_a_push_is_broken_off_and_goes_on(stored, syncd, shelf, name):
    pushing = syncd.start("push", stored, "--to", name)
    eventually(lambda: len(shelf.items()) > 0)
    pushing.process.send_signal(signal.SIGINT)
    assert pushing.ended() in (130, 0), pushing.said
    assert "Traceback" not in pushing.said
    done = syncd("push", stored, "--to", name, "--json").json
    assert done["attempted"] == 3008
    assert done["success"]
    assert len(shelf.items()) == 3008
    assert syncd("verify", name, "--against", stored).out.endswith(" 0 wrong\n")


def test_a_pull_is_broken_off_and_goes_on(stored, syncd, name, tmp_path):
    syncd("push", stored, "--to", name)
    pulling = syncd.start("pull", name, tmp_path / "back")
    eventually(lambda: (tmp_path / "back").exists() and len(os.listdir(tmp_path / "back")) > 10)
    pulling.process.send_signal(signal.SIGINT)
    assert (status := pulling.ended()) in (130, 0), pulling.said
    assert ("syncd: interrupted" in pulling.said) == (status == 130)
    assert "Traceback" not in pulling.said
    done = syncd("pull", name, tmp_path / "back", "--json").json
    assert (done["attempted"], done["success"]) == (3008, True)
    for path in stored.glob("*.[jm]*"):
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    assert not [n for n in os.listdir(tmp_path / "back") if n.startswith(".syncd-part")]


def test_status_that_is_shown_again_and_again_ends_well(syncd):
    shown = syncd.start("status", "--watch")
    # Not in the middle of an import, where Python may lose a Ctrl-C.
    eventually(lambda: shown.said.count("no folder is mirrored yet") > 1)
    shown.process.send_signal(signal.SIGINT)
    assert shown.ended() == 0
    assert "interrupted" not in shown.said


def test_a_second_signal_ends_at_once(watched):
    running = watched()
    running.freeze()
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)
    running.thaw()
    assert running.ended() in (0, 130, 143)
    assert "Traceback" not in running.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_pull_onto_a_full_disk_says_so_and_goes_on_with_room(syncd, root, name, tmp_path):
    for number in range(10):
        (root / f"{number}.jpg").write_bytes(picture(number, 400_000))
    syncd("push", root, "--to", name)
    back = tmp_path / "back"
    back.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(back)]
    if (mounted := subprocess.run(mount, check=False, capture_output=True)).returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode()}")
    try:
        done = syncd("pull", name, back, "--json", code=1).json
        assert 0 < len(done["failed"]) < 10
        assert {f["reason"] for f in done["failed"]} == {
            "cannot be written: No space left on device"
        }
        subprocess.run(["mount", "-o", "remount,size=20m", str(back)], check=True)
        assert syncd("pull", name, back, "--json").json["success"]
        assert sorted(os.listdir(back)) == [f"{number}.jpg" for number in range(10)]
    finally:
        subprocess.run(["umount", "--lazy", str(back)], check=True)


def test_files_that_change_under_a_push_are_taken_whole_or_named(syncd, root, shelf, name):
    for number in range(200):
        (root / f"{number}.jpg").write_bytes(picture(number, 100_000))
    pushing = syncd.start("push", root, "--to", name)
    for number in range(0, 200, 4):
        (root / f"{number}.jpg").unlink()
        (root / f"{number + 1}.jpg").write_bytes(picture(f"changed {number}", 50_000))
        os.truncate(root / f"{number + 2}.jpg", 10)
    assert pushing.ended() in (0, 1), pushing.said
    assert "Traceback" not in pushing.said
    syncd("push", root, "--to", name)
    found = shelf.digests()
    for path in root.glob("*.jpg"):
        assert path.name in found
    assert "0 wrong" in syncd("verify", name, "--against", root).out
    assert "0 wrong" in syncd("verify", name).out
