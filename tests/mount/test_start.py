"""How a mount begins, without a kernel: who owns it, and which datasets it shows."""

from __future__ import annotations

import os
import sqlite3
from types import SimpleNamespace
from typing import Any

import pytest

from syncd.cli.mount import _owner
from syncd.daemon import mount, mount_shown
from syncd.daemon.mount import Mounting
from syncd.daemon.mount_shown import Shown, free_slot
from syncd.daemon.mount_wanted import Wanted
from syncd.errors import NotFoundError, TransientError, UsageError
from syncd.mount.point import lacking
from syncd.mount.tree import Tree
from syncd.remotes.memory import MemoryDataset, MemoryRemote
from syncd.remotes.shelf import Shelf


def test_only_root_shows_files_of_others(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert _owner(None) == _owner(1000) == 1000
    with pytest.raises(UsageError, match="only root"):
        _owner(1001)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert _owner(1001) == 1001


def test_datasets_that_want_one_slot_get_two():
    first = free_slot("a", ())
    second = free_slot("a", {first})
    assert free_slot("a", {first, second}) not in (first, second)
    assert 0 < first < 1 << 20
    assert free_slot("a", set(range(1, 1 << 20)) - {7}) == 7


@pytest.mark.parametrize("failing", ["Index", "Reader"])
def test_one_that_cannot_be_shown_leaves_no_folder_held(tmp_path, monkeypatch, failing):
    remote = MemoryRemote()
    info = remote.open("pets", create=True).info
    client: Any = SimpleNamespace(address="hub", remote=remote, revive=lambda: None)
    wanted = Wanted(point=tmp_path, dataset="pets", cache=tmp_path, cache_bytes=1, uid=0, gid=0)

    def full(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(mount_shown, failing, full)
    cache: Any = None  # nothing is read
    for _ in range(3):
        with pytest.raises(sqlite3.OperationalError):
            Shown(client, info, "pets", 1, wanted, cache)
    assert len(list((tmp_path / "mounts").iterdir())) == 1


class Failing(MemoryDataset):
    broken = True

    def items(self, folder=""):
        if self.broken and self.shelf.name == "bad":
            raise TransientError("not now")
        return super().items(folder)


@pytest.fixture
def begin(tmp_path):
    if lacking():
        pytest.skip(str(lacking()))
    begun = []

    def begin(*names, **wanted):
        remote = MemoryRemote(kind=Failing)
        for name in names:
            remote.shelves[name] = Shelf(name)
            remote.shelves[name].store("a/b.jpg", b"x")
        client: Any = SimpleNamespace(
            address="memory", remote=remote, revive=lambda: None,
            places=SimpleNamespace(state=tmp_path / "state"),
        )  # fmt: skip
        options = {"dataset": None, "cache": tmp_path, "cache_bytes": 1 << 20, "uid": 0, "gid": 0}
        made = Mounting(client, Wanted(point=tmp_path / "mnt", **(options | wanted)))
        begun.append(made)
        return made

    yield begin
    for made in begun:
        made._close()


def test_a_dataset_that_cannot_be_read_is_shown_later(begin, expect_log, monkeypatch):
    expect_log("dataset not shown yet name=bad")
    made = begin("a", "bad", "c")
    assert sorted(made._operations.branches) == ["a", "c"]
    assert len(made._datasets) == 2
    monkeypatch.setattr(Failing, "broken", False)
    there = list(made._client.remote.datasets())
    made._add_all(there)
    assert sorted(made._operations.branches) == ["a", "bad", "c"]
    assert made._add_all(there) == []


def test_the_root_is_not_listed_at_the_start(begin, monkeypatch):
    monkeypatch.setattr(Tree, "listing", lambda tree, path: pytest.fail("listed"))
    begin("signs", dataset="signs")
    begin("signs", dataset="signs", prefetch="a")
    begin("signs", dataset="signs", prefetch="/")
    for missing in ("b", "a/b.jpg"):
        with pytest.raises(NotFoundError):
            begin("signs", dataset="signs", prefetch=missing)


def test_a_question_that_the_end_breaks_off_is_no_fault(begin, monkeypatch, expect_log, caplog):
    expect_log("datasets not listed")
    made = begin("signs")
    faults = [RuntimeError("a fault, which is told")]

    def asked(*_):
        if faults:
            raise faults.pop()
        made._ending.set()
        raise RuntimeError("the client has been closed")

    monkeypatch.setattr(mount, "DATASETS_S", 0.001)
    monkeypatch.setattr(mount, "asked", asked)
    made._watch()
    assert caplog.text.count("datasets not listed") == 1


def test_of_all_datasets_those_that_have_it_fetch_a_folder_ahead(begin, expect_log):
    made = begin("signs", "other", prefetch="signs/a")
    assert {shown.ahead() for shown in made._datasets.values()} == {"a", None}
    expect_log("no dataset has the folder prefetch=signs/b")
    made = begin("signs", "other", prefetch="signs/b")
    assert len(made._datasets) == 2
