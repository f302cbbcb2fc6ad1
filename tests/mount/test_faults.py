"""The hub frozen, gone, back; the mount killed, in use, twice: nothing hangs, nothing lies."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.mount import point as points
from tests.isolation import environment
from tests.mount.mounted import (
    CATCHES_UP,
    FILES,
    SIZE,
    Mounted,
    content,
    signs,
    stuck,
    until,
    whole,
)
from tests.sources import ROOT

SAYS_LATE = """
import time
from syncd.daemon.mount_numbers import MountNumbers
start = MountNumbers.start
def slow(self):
    time.sleep(0.8)
    start(self)
MountNumbers.start = slow
"""


def syncd(mounted: Mounted, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Another command of the user who mounted it, with `more` in its environment."""
    env = environment(mounted.log_file.parent) | more
    return subprocess.run(
        [sys.executable, "-m", "syncd", *args], capture_output=True, text=True, env=env,
        check=False, timeout=60,
    )  # fmt: skip


def test_a_frozen_hub_stops_no_listing_and_no_read_for_ever(own, mounts, allow_log):
    hub, _ = own
    mounted = mounts(hub, "--timeout", "2", "signs")
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    hub.freeze()
    begun = time.monotonic()
    assert len(os.listdir(mounted / "a")) == 30
    assert [os.stat(mounted / key).st_size for key in FILES] == [SIZE] * len(FILES)
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    assert time.monotonic() - begun < 2.0, "that would be an answer of the hub"
    begun = time.monotonic()
    with pytest.raises(OSError) as failed:  # noqa: PT011 - the number is looked at
        whole(mounted / "b.jpg")
    assert failed.value.errno in (errno.EIO, errno.ETIMEDOUT)
    assert time.monotonic() - begun < 3.9, "two deadlines are 4 s"
    until(lambda: not stuck())
    assert (mounted / "b.jpg").stat().st_size == SIZE
    hub.thaw()
    until(lambda: readable(mounted / "b.jpg"), 10.0)
    assert whole(mounted / "b.jpg") == FILES["b.jpg"]
    mounted.stop()


@pytest.mark.parametrize("readers", [0, 3])
def test_a_frozen_hub_delays_no_end(own, mounts, readers):
    hub, dataset = own
    mounted = mounts(hub, "signs")
    dataset.put({"c.jpg": b"the feed is heard"})
    until(lambda: (mounted / "c.jpg").exists())
    hub.freeze()
    keys = [key for key, _ in zip(FILES, range(readers), strict=False)]
    with ThreadPoolExecutor(3) as reading:
        waiting = [reading.submit(readable, mounted / key) for key in keys]
        time.sleep(0.3)
        begun = time.monotonic()
        mounted.stop()
        assert time.monotonic() - begun < 15.0, "a request to the hub may take 30 s"
        assert not any(one.result() for one in waiting)
    until(lambda: not stuck())


def test_folders_above_a_mount_may_be_renamed(own, mounts, tmp_path):
    hub, dataset = own
    mounted = mounts(hub, "signs", at="above/mnt")
    assert whole(mounted / "b.jpg") == FILES["b.jpg"]
    now = (tmp_path / "above").rename(tmp_path / "elsewhere") / "mnt"
    try:
        dataset.put({"b.jpg": content(5, SIZE)})
        until(lambda: whole(now / "b.jpg") == content(5, SIZE))
        mounted.stop()
        assert points.mounted(now) is None
    finally:
        subprocess.run(["fusermount", "-uzq", str(now)], check=False)


def readable(path: Path) -> bool:
    try:
        return bool(whole(path))
    except OSError:
        return False


def test_without_the_hub_what_was_read_is_there_and_the_rest_fails_fast(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "signs")
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    hub.kill()
    drop_pages(mounted / "a/1.jpg")
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    begun = time.monotonic()
    with pytest.raises(OSError, match=r"Input/output error"):
        whole(mounted / "b.jpg")
    assert time.monotonic() - begun < 5.0
    assert len(os.listdir(mounted / "a")) == 30
    back = hub.again()
    try:
        until(lambda: readable(mounted / "b.jpg"), 20.0)
        assert whole(mounted / "b.jpg") == FILES["b.jpg"]
    finally:
        back.stop()
    mounted.stop()


def drop_pages(path: Path) -> None:
    """Have the kernel ask the mount again for what it holds of a file."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_what_changed_while_the_hub_was_away_is_heard_of(own, mounts):
    hub, dataset = own
    mounted = mounts(hub, "signs")
    whole(mounted / "b.jpg")
    hub.stop()
    back = hub.again()
    try:
        dataset.put({"b.jpg": content(7, SIZE), "c.jpg": b"new"})
        until(lambda: (mounted / "c.jpg").exists(), 20.0)
        assert whole(mounted / "b.jpg") == content(7, SIZE)
    finally:
        back.stop()
    mounted.stop()


def test_a_killed_mount_is_cleared_away_by_the_next_start(own, mounts):
    hub, _ = own
    first = mounts(hub, "signs")
    whole(first / "b.jpg")
    first.kill()
    with pytest.raises(OSError, match="not connected"):
        os.listdir(first.point)
    second = mounts(hub, "signs")
    assert whole(second / "b.jpg") == FILES["b.jpg"]
    second.stop()


def test_a_dataset_that_is_not_there_and_a_hub_that_is_not(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    token = tmp_path / "token"
    token.write_text(hub.token)
    place = str(tmp_path / "other")
    options = ("--remote", hub.url, "--token-file", str(token))
    said = syncd(mounted, "mount", *options, "sings", place)
    assert (said.returncode, "there is no dataset 'sings'" in said.stderr) == (4, True), said
    said = syncd(mounted, "mount", "--remote", "http://127.0.0.1:9", "signs", place)
    assert (said.returncode, "does not answer" in said.stderr) == (5, True), said
    assert points.mounted(Path(place)) is None
    mounted.stop()


def test_calls_that_make_no_sense(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    token = tmp_path / "token"
    token.write_text(hub.token)
    options = ("mount", "--remote", hub.url, "--token-file", str(token))
    place = str(tmp_path / "other")
    for words, code, said in (
        (("signs", place, "--prefetch", "no/such"), 4, "--prefetch no/such"),
        (("signs", place, "--mode", "666"), 2, "--mode"),
        (("signs", place, "--cache-size", "much"), 2, "--cache-size"),
        (("signs", place, "--cache-dir", str(token)), 2, "name another --cache-dir"),
        (("signs", str(token)), 2, "is no folder"),
        (("signs", place, "--all"), 2, "--all MOUNTPOINT"),
        (("signs",), 2, "DATASET MOUNTPOINT"),
        (("a/b", place), 2, "a/b"),
    ):
        done = syncd(mounted, *options, *words)
        assert (done.returncode, said in done.stderr) == (code, True), done
        assert points.mounted(Path(place)) is None
    mounted.stop()


def test_in_the_background_until_unmounted(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    token = tmp_path / "token"
    token.write_text(hub.token)
    place = tmp_path / "back ground"
    options = ("--remote", hub.url, "--token-file", str(token))
    try:
        (tmp_path / "sitecustomize.py").write_text(SAYS_LATE)
        words = ("mount", *options, "signs", str(place))
        said = syncd(mounted, *words, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
        assert (said.returncode, "mounted on" in said.stderr) == (0, True), said
        assert whole(place / "b.jpg") == FILES["b.jpg"]
    finally:
        said = syncd(mounted, "umount", str(place))
    assert said.returncode == 0, said
    mounted.stop()


def test_of_two_that_are_begun_at_once_one_mounts_and_the_other_says_so(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    token = tmp_path / "token"
    token.write_text(hub.token)
    place = str(tmp_path / "wanted by two")
    words = ("mount", "--remote", hub.url, "--token-file", str(token), "signs", place)
    try:
        with ThreadPoolExecutor(2) as both:
            said = sorted(both.map(lambda _: syncd(mounted, *words), range(2)), key=returncode)
        assert [one.returncode for one in said] == [0, 6], said
        assert whole(Path(place) / "b.jpg") == FILES["b.jpg"]
    finally:
        assert syncd(mounted, "umount", place).returncode == 0
    mounted.stop()


def returncode(done: subprocess.CompletedProcess[str]) -> int:
    return done.returncode


def test_every_dataset_in_a_folder_of_its_own(own, mounts, tmp_path):
    hub, _ = own
    with signs(hub, "other signs", tmp_path / "more") as other:
        other.put({"x.jpg": b"x"})
        mounted = mounts(hub, "--all")
        assert sorted(os.listdir(mounted.point)) == ["other signs", "signs"]
        assert whole(mounted / "other signs/x.jpg") == b"x"
        assert whole(mounted / "signs/b.jpg") == FILES["b.jpg"]
        held = os.open(mounted / "other signs/x.jpg", os.O_RDONLY)
        try:
            other.put({"x.jpg": b"y"})
            until(lambda: whole(mounted / "other signs/x.jpg") == b"y")
            assert whole(held) == b"x"
        finally:
            os.close(held)
    with signs(hub, "new", tmp_path / "more") as new:
        new.put({"z.jpg": b"z"})
        until(lambda: (mounted / "new").is_dir(), 20.0)
        until(lambda: (mounted / "new/z.jpg").exists())
    mounted.stop()


def test_attributes_are_told_only_where_wanted(own, mounts):
    hub, dataset = own
    mounted = mounts(hub, "--xattrs", "signs")
    assert os.getxattr(mounted / "b.jpg", "user.syncd.id").decode() == dataset.items["b.jpg"].id
    sha256 = os.getxattr(mounted / "b.jpg", "user.syncd.sha256").decode()
    assert sha256 == dataset.items["b.jpg"].digest
    assert sorted(os.listxattr(mounted / "b.jpg")) == ["user.syncd.id", "user.syncd.sha256"]
    mounted.stop()
    plain = mounts(hub, "signs", home="home 2")
    with pytest.raises(OSError, match="not supported"):
        os.getxattr(plain / "b.jpg", "user.syncd.id")
    plain.stop()


def test_what_was_fetched_ahead_needs_no_hub(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "--prefetch", "a", "signs")
    blocks = mounted.log_file.parent / "cache" / "syncd" / "blocks"
    until(lambda: kept(blocks) >= 30 * SIZE, 20.0)
    hub.kill()
    for key in FILES:
        if key.startswith("a/"):
            assert whole(mounted / key) == FILES[key]
    mounted.stop()


def kept(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_restart_needs_no_listing_and_shows_what_changed_meanwhile(own, mounts):
    hub, dataset = own
    mounts(hub, "signs").stop()
    more = {f"new/{n}.jpg": b"%d" % n for n in range(200)}
    dataset.put({"b.jpg": content(5, SIZE)} | more)
    dataset.trash("a/1.jpg")
    mounted = mounts(hub, "signs", before=CATCHES_UP)
    assert not (mounted / "a/1.jpg").exists(), "heard before anybody could look"
    assert len(os.listdir(mounted / "new")) == len(more)
    assert whole(mounted / "b.jpg") == content(5, SIZE)
    mounted.stop()
