"""Changes that the kernel must hear of, with a plain folder in place of the mount."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import syncd.mount.turning
from syncd.errors import SyncdError
from syncd.mount import point as points
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.names import OLD
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.memory import MemoryRemote
from syncd.remotes.shelf import Shelf


class Kernel:
    """Asks what waits for it, when it is told to; another thread than who told it answers."""

    def __init__(self):
        self.pending = {}
        self.own = set()
        self.lasts = 0.0
        self.answers = ThreadPoolExecutor(max_workers=1)
        self.answers.submit(int).result()  # its thread begins here, with our descriptors

    def lasting(self, number):
        return self.lasts

    def rename(self, old, new, **folders):
        self.answers.submit(self.pending.pop(f"/{new}")).result()


class Plain:
    patience_s = 0.0

    def of(self, items):
        return {}


class Told:
    """A tree of one file that the kernel knows, and who tells of its changes."""

    def __init__(self, folder):
        self.remote = MemoryRemote()
        self.shelf = self.remote.shelves["signs"] = Shelf("signs")
        self.shelf.store("a.jpg", b"old")
        self.tree = Tree(Index(folder / "index.db", "test"))
        self.gone: list[Any] = []
        self.turner = Turner(self.tree, gone=self.gone.append)
        dataset = self.remote.open("signs", create=False)
        self.follower = Follower(self.tree, dataset, self.turner, Plain())
        self.follower.fill()
        self.kernel = Kernel()
        self.point = folder / "mnt"
        self.point.mkdir()
        self.turner.attach(self.point, self.kernel)
        self.tree.look("a.jpg")

    def shown(self):
        return self.tree.file("a.jpg").size


@pytest.fixture
def told(tmp_path):
    made = Told(tmp_path)
    yield made
    made.follower.stop()
    made.kernel.answers.shutdown()
    made.tree.index.close()


def later(told, reason, monkeypatch):
    """A change that cannot be made waits, and is made when it can."""
    cursor = told.tree.index.word("cursor")
    for _ in range(2):
        with pytest.raises(SyncdError, match=reason):
            told.follower.hear(0.0)
        assert told.shown() == 3
        assert told.tree.index.word("cursor") == cursor
        assert told.kernel.pending == {}
    assert told.gone == []
    told.point.mkdir(exist_ok=True)
    told.turner.attach(told.point, told.kernel)
    monkeypatch.setattr(os, "rename", told.kernel.rename)
    told.follower.hear(0.0)
    assert told.shown() == 5
    assert [row.size for row in told.gone] == [3]
    assert told.tree.index.word("cursor") != cursor


def test_a_mount_point_that_is_not_reachable(told, monkeypatch):
    told.shelf.store("a.jpg", b"newer")
    told.point.rmdir()
    later(told, "cannot be reached", monkeypatch)


def test_where_the_mount_is_is_asked_only_when_it_is_not_where_it_was(told, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(points, "now_at", asked.append)
    monkeypatch.setattr(os, "rename", told.kernel.rename)
    told.shelf.store("a.jpg", b"newer")
    told.follower.hear(0.0)
    assert (told.shown(), asked) == (5, [])
    told.point.rmdir()
    told.tree.look("a.jpg")
    told.shelf.store("a.jpg", b"the newest")
    with pytest.raises(SyncdError, match="cannot be reached"):
        told.follower.hear(0.0)
    assert asked


def test_a_rename_that_fails(told, monkeypatch):
    told.shelf.store("a.jpg", b"newer")
    later(told, "No such file", monkeypatch)


def test_a_rename_that_nobody_asked_us_about(told, monkeypatch):
    told.shelf.store("a.jpg", b"newer")
    (told.point / OLD).mkdir()
    monkeypatch.setattr(os, "rename", lambda *args, **folders: None)
    later(told, "did not ask", monkeypatch)


def test_a_change_that_breaks_while_the_kernel_asks(told, monkeypatch):
    told.shelf.store("a.jpg", b"newer")
    apply = told.tree.apply

    def broken(step):
        raise ZeroDivisionError

    def rename(old, new, **folders):
        try:
            told.kernel.rename(old, new)
        except ZeroDivisionError:
            raise OSError(errno.EIO, "Input/output error") from None

    monkeypatch.setattr(os, "rename", rename)
    told.tree.apply = broken
    with pytest.raises(SyncdError, match="Input/output"):
        told.follower.hear(0.0)
    told.tree.apply = apply
    assert told.shown() == 3
    told.follower.hear(0.0)
    assert told.shown() == 5


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EPERM])
def test_a_time_that_cannot_be_told_stops_nothing(told, monkeypatch, expect_log, number):
    def refuse(*args, **options):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "utime", refuse)
    expect_log("kernel not told of a time")
    told.tree.look("")
    told.shelf.store("b.jpg", b"y")
    told.follower.hear(0.0)
    assert list(told.tree.listing("")) == ["a.jpg", "b.jpg"]


def test_what_is_mounted_over_waits_and_the_others_do_not(told, monkeypatch, expect_log):
    def refuse(old, new, **folders):
        raise OSError(errno.EBUSY, "busy")

    expect_log("shown later than it came a.jpg: something else is mounted on it")
    monkeypatch.setattr(os, "rename", refuse)
    told.shelf.store("a.jpg", b"newer")
    told.shelf.store("b.jpg", b"y")
    told.follower.hear(0.0)
    assert (told.shown(), "b.jpg" in told.tree.listing("")) == (3, True)
    monkeypatch.setattr(os, "rename", told.kernel.rename)
    told.follower.hear(0.0)
    assert told.shown() == 5


def test_what_a_slow_reader_has_waits_and_the_others_do_not(told, monkeypatch, expect_log):
    expect_log("shown later than it came a.jpg: somebody reads it")
    monkeypatch.setattr(os, "rename", told.kernel.rename)
    cursor = told.tree.index.word("cursor")
    told.kernel.lasts = 1.0
    told.shelf.store("a.jpg", b"newer")
    told.shelf.store("b.jpg", b"y")
    for number in range(3):
        told.shelf.store(f"{number}.jpg", b"z")
        told.follower.hear(0.0)
        assert told.shown() == 3
        assert set(told.tree.listing("")) >= {"a.jpg", "b.jpg", f"{number}.jpg"}
    assert told.tree.index.word("cursor") == cursor, "a restart would not hear of it again"
    told.shelf.store("a.jpg", b"the newest")
    told.kernel.lasts = 0.0
    told.follower.hear(0.0)
    assert told.shown() == 10
    assert told.tree.index.word("cursor") != cursor


def test_no_reader_is_waited_for_without_end(told, monkeypatch, expect_log):
    expect_log("shown later")
    monkeypatch.setattr(os, "rename", told.kernel.rename)
    told.kernel.lasts = 1.0
    told.shelf.store("a.jpg", b"newer")
    told.follower.hear(0.0)
    assert told.shown() == 3
    monkeypatch.setattr(syncd.mount.turning, "PATIENCE_S", 0.0)
    told.follower.hear(0.0)
    assert told.shown() == 5


def test_readers_who_take_turns_hold_nothing_up(told, monkeypatch):
    monkeypatch.setattr(os, "rename", told.kernel.rename)
    told.kernel.lasts = 0.001
    told.shelf.store("a.jpg", b"newer")
    told.follower.hear(0.0)
    assert told.shown() == 5
