"""Every way to lose events: overflow, limits, roots that go, disks that come, mistakes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.local.hint import Hint
from syncd.local.watch import Coverage, Watcher
from tests.local.ear import PATIENCE, Ear, file
from tests.local.rights import as_nobody, mount_at

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


def flood(root: Path) -> None:
    """More events than the kernel keeps and the reader takes at once."""
    for number in range(QUEUE // 3 + 3000):
        (root / f"{number}.jpg").touch()
        (root / f"{number}.jpg").unlink()


def test_an_overflowing_queue_is_doubted_and_watching_goes_on(ear: Ear, root: Path) -> None:
    """A real overflow: the reader is stalled while more happens than the kernel keeps."""
    with ear.deaf():
        flood(root)
        (root / "unheard/of").mkdir(parents=True)
    ear.until(lambda: "event queue overflow" in ear.doubts)
    assert ear.watcher.check() == Coverage(events=True)
    (root / "unheard/of/x.jpg").touch()
    ear.hears(file("unheard/of/x.jpg"))


def test_moves_lost_by_an_overflow_do_not_mislead(ear: Ear, root: Path, tmp_path: Path) -> None:
    for name in ("kept", "renamed", "gone"):
        (root / name / "sub").mkdir(parents=True)
    ear.calm()
    with ear.deaf():
        flood(root)
        (root / "renamed").rename(root / "new")
        (root / "gone").rename(tmp_path / "gone")
    ear.until(lambda: "event queue overflow" in ear.doubts)
    ear.calm()
    ear.hints.clear()
    for path in (root / "new/sub", root / "kept/sub", tmp_path / "gone/sub"):
        (path / "x.jpg").touch()
    ear.hears(file("new/sub/x.jpg"), file("kept/sub/x.jpg"))
    assert {hint.path for hint in ear.calm()} == {"new/sub/x.jpg", "kept/sub/x.jpg"}


def test_an_exception_in_a_callback_is_doubted_and_survived(
    root: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("an event was lost")
    heard: list[Hint] = []
    doubts: list[str] = []

    def deliver(hint: Hint) -> None:
        heard.append(hint)
        if hint.path == "bad.jpg":
            raise KeyError("a mistake")

    watcher = Watcher(root, deliver, doubts.append)
    watcher.start()
    try:
        (root / "bad.jpg").touch()
        (root / "good.jpg").touch()
        end = time.monotonic() + PATIENCE
        while file("good.jpg") not in heard:
            assert time.monotonic() < end
            time.sleep(0.001)
        assert doubts[0] == "an event was lost: 'a mistake'"
        assert watcher.check() == Coverage(events=True)
    finally:
        watcher.stop()


def test_a_doubt_that_fails_ends_nothing(root: Path, expect_log: Callable[[str], None]) -> None:
    expect_log("an event was lost")
    expect_log("could not report")

    called = threading.Semaphore(0)

    def broken(_: object) -> None:
        called.release()
        raise RuntimeError

    watcher = Watcher(root, broken, broken)
    watcher.start()
    (root / "x.jpg").touch()
    for _ in ("closed", "doubted"):
        assert called.acquire(timeout=PATIENCE)
    assert watcher.check() == Coverage(events=True)
    watcher.stop()


def test_the_root_deleted_and_made_again(ear: Ear, root: Path) -> None:
    shutil.rmtree(root)
    assert ear.watcher.check() == Coverage(events=False, reason="the folder is missing")
    assert ear.watcher.check() == Coverage(events=False, reason="the folder is missing")
    assert len(ear.doubts) == 1
    root.mkdir()
    assert ear.watcher.check() == Coverage(events=True)
    assert len(ear.doubts) == 2
    (root / "x.jpg").touch()
    ear.hears(file("x.jpg"))


def test_the_root_replaced_between_two_checks(ear: Ear, root: Path, tmp_path: Path) -> None:
    root.rename(tmp_path / "old")
    root.mkdir()
    assert ear.watcher.check() == Coverage(events=True)
    assert len(ear.doubts) == 1
    ear.hints.clear()
    (tmp_path / "old/x.jpg").touch()
    (root / "y.jpg").touch()
    ear.hears(file("y.jpg"))
    assert {hint.path for hint in ear.calm()} == {"y.jpg"}


def test_the_root_deleted_and_made_again_with_the_same_inode(ear: Ear, root: Path) -> None:
    """The inode says nothing here; that the old watch is gone does."""
    root.rmdir()
    root.mkdir()
    ear.until(lambda: ear.tree.lost)
    ear.watcher.check()
    (root / "x.jpg").touch()
    ear.hears(file("x.jpg"))


def test_a_root_that_is_not_there_yet(tmp_path: Path) -> None:
    ear = Ear(tmp_path / "later")
    assert ear.watcher.start() == Coverage(events=False, reason="the folder is missing")
    assert ear.watcher.check().events is False
    (tmp_path / "later").mkdir()
    assert ear.watcher.check().events is True
    assert ear.doubts == ["the folder was not watched"]
    ear.watcher.stop()
    ear.watcher.stop()


def test_a_disk_unmounted_and_mounted(disk: Path) -> None:
    ear = Ear(disk)
    (disk / "a").mkdir()
    assert ear.watcher.start().events
    subprocess.run(["umount", disk], check=True)
    ear.watcher.check()
    assert len(ear.doubts) == 1
    mount_at(disk)
    ear.watcher.check()
    assert len(ear.doubts) == 2
    (disk / "x.jpg").touch()
    ear.hears(file("x.jpg"))
    ear.watcher.stop()


def test_a_disk_mounted_below(disk: Path) -> None:
    ear = Ear(disk)
    (disk / "a").mkdir()
    ear.watcher.start()
    mount_at(disk / "a")
    ear.watcher.check()
    assert ear.doubts == ["a file system was mounted or unmounted in the folder"]
    (disk / "a/x.jpg").touch()
    ear.hears(file("a/x.jpg"))
    ear.watcher.stop()


def test_a_network_file_system_has_to_be_scanned(
    ear: Ear, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 0:1 / / rw - ext4 /dev/x rw\n30 22 0:40 / {root} rw - nfs4 s:/ rw\n")
    monkeypatch.setattr("syncd.local.mounts.MOUNTINFO", table)
    coverage = ear.watcher.check()
    assert coverage.events is False
    assert coverage.reason == f"{root} is on nfs4: changes made elsewhere send no events"
    (root / "x.jpg").touch()
    ear.hears(file("x.jpg"))


LIMITED = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from syncd.local.watch import Watcher
name, limit = sys.argv[2], Path("/proc/sys/user/" + sys.argv[2])
limit.write_text("5")
hints, doubts = [], []
watcher = Watcher(Path(sys.argv[1]), hints.append, doubts.append)
if name.endswith("instances"):
    limit.write_text("0")
print(watcher.start().reason)
print(watcher.check().reason != "")
limit.write_text("1000")
for _ in range(3):
    coverage = watcher.check()
print(coverage.events, doubts)
watcher.stop()
"""


@pytest.mark.parametrize(
    ("limit", "sysctl", "needed", "doubt"),
    [
        ("max_inotify_watches", "max_user_watches", "the 21 folders here need more", "folders"),
        ("max_inotify_instances", "max_user_instances", "all are in use", "was not watched"),
    ],
)
def test_limits_are_named_and_their_end_is_noticed(
    root: Path, limit: str, sysctl: str, needed: str, doubt: str
) -> None:
    """In a user namespace of its own, where the limits can be set without hurting anybody."""
    for number in range(20):
        (root / f"{number:02}").mkdir()
    command: list[str | Path] = [
        "unshare",
        "--user",
        "--map-root-user",
        sys.executable,
        "-c",
        LIMITED,
        root,
        limit,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    reason, still, end = done.stdout.splitlines()
    assert f"fs.inotify.{sysctl}" in reason
    assert needed in reason
    assert f"sysctl fs.inotify.{sysctl}=" in reason
    assert still == "True"
    assert end.startswith("True")
    assert doubt in end


def test_folders_that_become_readable_are_watched(public: Path) -> None:
    with as_nobody():
        for name in ("closed", "other"):
            (public / name).mkdir(mode=0)
        ear = Ear(public)
        assert ear.watcher.start().events
        ear.watcher.check()
        assert ear.doubts == []
        for name in ("closed", "other"):
            (public / name).chmod(0o700)
        ear.watcher.check()
        assert ear.doubts == ["folders could be watched that could not be before"]
        (public / "closed/x.jpg").touch()
        (public / "other/x.jpg").touch()
        ear.hears(file("closed/x.jpg"), file("other/x.jpg"))
        ear.watcher.stop()


def test_memory_does_not_grow_with_files(root: Path) -> None:
    last = threading.Event()

    def deliver(hint: Hint) -> None:
        if hint.path == "last.jpg":
            last.set()

    watcher = Watcher(root, deliver, lambda reason: None)
    watcher.start()
    tracemalloc.start()
    try:
        for number in range(3000):
            (root / f"{number}.jpg").touch()
        (root / "last.jpg").touch()
        assert last.wait(PATIENCE), "what waits in the queue is not what is kept"
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        watcher.stop()
    assert kept < 200_000


def test_a_burst_loses_nothing_unnoticed(ear: Ear, root: Path) -> None:
    code = (
        "import os, sys; os.chdir(sys.argv[1])\n"
        "for n in range(20000): os.close(os.open(f'{n}.jpg', os.O_CREAT | os.O_WRONLY))"
    )
    subprocess.run([sys.executable, "-c", code, root], check=True)
    end = time.monotonic() + PATIENCE
    while len({hint.path for hint in ear.hints if hint.prompt}) < 20_000 and not ear.doubts:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_nothing_is_said_on_stderr(root: Path) -> None:
    """watchdog warns of watches made twice, which is what a tree made in a hurry brings about."""
    code = f"""
import logging, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from syncd.local.watch import Watcher
root = Path(sys.argv[1])
watcher = Watcher(root, lambda hint: None, lambda reason: None)
watcher.start()
for n in range(100):
    (root / f"{{n}}/a/b/c").mkdir(parents=True)
    (root / f"{{n}}").rename(root / f"m{{n}}")
time.sleep(0.2)
watcher.check()
watcher.stop()
"""
    command: list[str | Path] = [sys.executable, "-W", "always", "-c", code, root]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_stopping_in_the_middle_of_a_storm(root: Path) -> None:
    def storm() -> None:
        while not stop.is_set():
            for n in range(100):
                (root / f"{n}/a").mkdir(parents=True)
            shutil.move(root / "7", root / "8")
            for folder in root.iterdir():
                shutil.rmtree(folder)

    stop = threading.Event()
    thread = threading.Thread(target=storm)
    thread.start()
    try:
        for _ in range(20):
            ear = Ear(root)
            ear.watcher.start()
            time.sleep(0.005)
            ear.watcher.stop()
            heard = len(ear.hints)
            time.sleep(0.002)
            assert len(ear.hints) == heard
    finally:
        stop.set()
        thread.join()
