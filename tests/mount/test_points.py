"""Mount points and their end: where may be mounted, who is asked to end and how, what is in use."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress

import pytest

from syncd.errors import BusyError
from syncd.mount import point as points
from tests.mount.mounted import FILES, whole
from tests.mount.test_faults import syncd


def test_signals_that_come_together_are_one_wish(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "signs")
    for number in (signal.SIGINT, signal.SIGTERM):
        mounted.process.send_signal(number)
    assert mounted.process.wait(10.0) == 0
    assert not points.own_at(mounted.point)


def test_a_signal_unmounts_and_a_second_umount_says_so(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "signs")
    mounted.stop(signal.SIGINT)
    assert os.listdir(mounted.point) == []
    said = syncd(mounted, "umount", str(mounted.point))
    assert said.returncode == 4
    assert "no dataset is mounted here" in said.stderr


def test_a_mount_point_may_be_named_by_a_link(own, mounts, tmp_path):
    hub, _ = own
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    mounted = mounts(hub, "signs", at="link")
    assert points.own_at(tmp_path / "real")
    said = syncd(mounted, "umount", str(mounted.point))
    assert (said.returncode, said.stderr) == (0, "")
    assert mounted.process.wait(10.0) == 0
    assert os.listdir(tmp_path / "real") == []


def test_umount_ends_the_program(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "signs")
    said = syncd(mounted, "umount", str(mounted.point))
    assert (said.returncode, said.stderr) == (0, "")
    assert mounted.process.wait(10.0) == 0
    assert os.listdir(mounted.point) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes mount namespaces")
def test_umount_ends_the_program_also_where_another_namespace_has_the_mount(own, mounts):
    """Whoever makes one, as a container does, copies every mount there is."""
    hub, _ = own
    mounted = mounts(hub, "signs")
    script = "echo made && exec sleep infinity"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as elsewhere:
        assert elsewhere.stdout
        assert elsewhere.stdout.readline() == b"made\n"
        try:
            said = syncd(mounted, "umount", str(mounted.point))
            assert (said.returncode, said.stderr) == (0, "")
            assert mounted.process.wait(10.0) == 0
        finally:
            elsewhere.kill()


def test_what_is_in_use_is_not_unmounted_but_on_demand(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "signs")
    held = os.open(mounted / "b.jpg", os.O_RDONLY)
    try:
        said = syncd(mounted, "umount", str(mounted.point))
        assert said.returncode == 6
        assert "in use" in said.stderr
        assert whole(held) == FILES["b.jpg"]
        kept = os.open(mounted / "a/7.jpg", os.O_RDONLY)
        assert syncd(mounted, "umount", "--lazy", str(mounted.point)).returncode == 0
        assert os.listdir(mounted.point) == []
        assert whole(kept) == FILES["a/7.jpg"], "read for the first time"
        os.close(kept)
    finally:
        os.close(held)
    assert mounted.process.wait(20.0) == 0


def test_a_signal_ends_it_though_it_is_in_use(own, mounts):
    hub, _ = own
    mounted = mounts(hub, "signs")
    held = os.open(mounted / "b.jpg", os.O_RDONLY)
    try:
        mounted.stop()
        assert "still in use" in mounted.log
    finally:
        with suppress(OSError):  # the mount is gone under it
            os.close(held)


def test_places_that_cannot_be_mounted_over(own, mounts, tmp_path):
    hub, _ = own
    mounted = mounts(hub, "signs")
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_bytes(b"mine")
    for place, code, words in (
        (full, 2, "is not empty"),
        (full / "file", 2, "is no folder"),
        (mounted.point, 6, "mounted here already"),
        (mounted / "a", 2, "lies within the dataset mounted on"),
    ):
        said = syncd(mounted, "mount", "--remote", hub.url, "signs", str(place))
        assert (said.returncode, words in said.stderr) == (code, True), said
    assert (full / "file").read_bytes() == b"mine"
    mounted.stop()


def test_who_is_overtaken_by_another_start_is_told_that_it_is_mounted(own, mounts, monkeypatch):
    hub, _ = own
    mounted = mounts(hub, "signs")
    ours, first = points.own_at, [False]
    monkeypatch.setattr(points, "own_at", lambda at: first.pop() if first else ours(at))
    with pytest.raises(BusyError, match="mounted here already"):
        points.prepare(mounted.point)
    mounted.stop()


def test_watched_folders_and_mounts_do_not_lie_in_each_other(own, mounts, tmp_path, tree):
    hub, _ = own
    mounted = mounts(hub, "signs")
    root = tree({"a.jpg": b"x"}, tmp_path / "watched")
    token = tmp_path / "token"
    token.write_text(hub.token)
    options = ("--remote", hub.url, "--token-file", str(token))
    assert syncd(mounted, "push", *options, str(root), "--to", "mine").returncode == 0
    for place in (root, root / "mnt"):
        said = syncd(mounted, "mount", *options, "signs", str(place))
        assert (said.returncode, "lies in the watched folder" in said.stderr) == (2, True), said
    (state,) = mounted.log_file.parent.glob("state/syncd/mirrors/watched-*/state.db")
    state.write_bytes(b"no database" * 100)
    said = syncd(mounted, "mount", *options, "signs", str(root / "mnt"))
    assert (said.returncode, "lies in the watched folder" in said.stderr) == (2, True), said
    state.unlink()
    for place, words in ((mounted / "a", "lies on the dataset"), (tmp_path, "is mounted within")):
        for command in ("push", "watch"):
            said = syncd(mounted, command, *options, str(place), "--to", "theirs")
            assert (said.returncode, words in said.stderr) == (2, True), said
    mounted.stop()
