"""The daemon as a process: one per folder, ended by signals, wary of a root in doubt."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.program import eventually
from tests.e2e.test_watch import picture


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_it_cleanly(home, root, watched, shelf, number):
    (root / "a.jpg").write_bytes(picture("a"))
    running = watched()
    shelf.becomes({"a.jpg": picture("a")})
    [socket] = home.rglob("control.sock")
    assert socket.stat().st_mode & 0o777 == 0o600
    assert "stopped" in running.stop(number)
    assert not list(home.rglob("control.sock"))


def test_a_second_daemon_on_the_root_is_refused_with_the_first_ones_pid(
    root, tmp_path, syncd, name, watched
):
    running = watched()
    (tmp_path / "by-another-name").symlink_to(root)
    for folder in (root, tmp_path / "by-another-name"):
        refused = syncd("watch", folder, "--to", name, code=6)
        assert f"pid {running.pid}" in refused.err
        assert len(refused.err.splitlines()) == 1
    refused = syncd("push", root, "--to", name, code=6)
    assert f"pid {running.pid}" in refused.err


@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_a_state_that_is_deleted_under_a_daemon_is_made_anew(
    home, root, syncd, name, watched, shelf, what
):
    (root / "a.jpg").write_bytes(picture("a"))
    running = watched()
    before = shelf.becomes({"a.jpg": picture("a")})
    [state] = home.rglob("state.db")
    if what == "the folder":
        state.parent.rename(home / "deleted")  # at one blow: the daemon is at work in there
    else:
        state.unlink()
    running.until("state file deleted")
    (root / "b.jpg").write_bytes(picture("b"))
    after = shelf.becomes({"a.jpg": picture("a"), "b.jpg": picture("b")})
    assert after["a.jpg"] == before["a.jpg"], "sent again"
    eventually(lambda: syncd("status", root / "b.jpg", code=0))
    refused = syncd("watch", root, "--to", name, code=6)
    assert f"pid {running.pid}" in refused.err


def test_two_spellings_of_a_remote_are_one_mirror(root, syncd, name, home, hub, watched):
    config = home / "config" / "syncd" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    running = watched("--remote", hub.url + "/")
    refused = syncd("watch", root, "--to", name, "--remote", hub.url, code=6)
    assert f"pid {running.pid}" in refused.err
    running.stop()
    config.write_text(f'[remotes.lab]\nurl = "{hub.url}/"\n')
    running = watched("--remote", "lab")
    for spelling in (hub.url, hub.url + "/"):
        refused = syncd("watch", root, "--to", name, "--remote", spelling, code=6)
        assert f"pid {running.pid}" in refused.err


def test_several_folders_in_one_process(tmp_path, syncd, shelf, name):
    for folder in ("a/photos", "b/photos"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "same.jpg").write_bytes(picture(folder))
    syncd.watch(tmp_path / "a" / "photos", "--to", name, tmp_path / "b" / "photos")
    eventually(lambda: len(shelf.items()) == 2)
    found = set(shelf.items())
    assert "same.jpg" in found
    assert found & {"same~a~photos.jpg", "same~b~photos.jpg"}


def test_a_root_that_is_made_anew_is_believed_only_when_told(root, syncd, watched, shelf):
    for number in range(3):
        (root / f"{number}.jpg").write_bytes(picture(number))
    pictures = {f"{number}.jpg": picture(number) for number in range(3)}
    running = watched()
    shelf.becomes(pictures)

    shutil.rmtree(root)
    _state(syncd, "paused", "the folder is missing")
    root.mkdir()
    mirror = _state(syncd, "paused", "not the folder it was")
    (root / "new.jpg").write_bytes(picture("new"))
    shelf.becomes(pictures)
    told = syncd("status").out
    assert f"syncd approve {mirror['plan']}" in told

    assert "no plan" in syncd("approve", "000000000000", code=4).err
    syncd("approve", mirror["plan"])
    shelf.becomes({"new.jpg": picture("new")})
    assert shelf.trashed() == set(pictures)
    running.stop()


def test_many_removals_wait_for_approval(root, syncd, watched, shelf):
    pictures = {f"{number}.jpg": picture(number) for number in range(30)}
    for path, content in pictures.items():
        (root / path).write_bytes(content)
    running = watched()
    shelf.becomes(pictures)
    running.freeze()  # it sees all of them go at once, however long that takes
    for number in range(25):
        (root / f"{number}.jpg").unlink()
    running.thaw()
    (root / "still.jpg").write_bytes(picture("still"))
    mirror = _state(syncd, "held", "are gone")
    shelf.becomes(pictures | {"still.jpg": picture("still")})
    assert f"syncd approve {mirror['plan']}" in syncd("status").out
    syncd("approve", mirror["plan"])
    left = {f"{number}.jpg": pictures[f"{number}.jpg"] for number in range(25, 30)}
    shelf.becomes(left | {"still.jpg": picture("still")})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_an_unmounted_disk_removes_nothing(root, syncd, watched, shelf):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(root)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode()}")
    try:
        _unmounted(root, syncd, watched, shelf)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False, capture_output=True)


def _unmounted(root: Path, syncd, watched, shelf) -> None:
    (root / "a.jpg").write_bytes(picture("a"))
    running = watched()
    shelf.becomes({"a.jpg": picture("a")})
    subprocess.run(["umount", "--lazy", str(root)], check=True)
    _state(syncd, "paused")
    (root / "below.jpg").write_bytes(picture("below"))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(root)], check=True)
    (root / "other.jpg").write_bytes(picture("other"))
    _state(syncd, "paused", "not the folder it was")
    shelf.becomes({"a.jpg": picture("a")})
    assert shelf.trashed() == set()
    running.stop()


def _state(syncd, state: str, reason: str = ""):
    """Wait until the one mirror is in this state for this reason."""

    def found():
        mirror = syncd("status", "--json").json["mirrors"][0]
        assert (mirror["state"], reason in mirror["reason"]) == (state, True), mirror
        return mirror

    return eventually(found)
