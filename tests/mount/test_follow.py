"""The thread that follows a dataset: what it bears, and what it says."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from syncd.annotation.model import Size
from syncd.errors import TransientError
from syncd.mount import follow as module
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.sidecars import Beside, Mode
from syncd.mount.tree import Tree
from syncd.mount.turning import NotNowError, Turner
from syncd.remotes.memory import MemoryDataset, MemoryRemote, PlainDataset
from syncd.remotes.shelf import Shelf
from tests.mount.mounted import until


@contextmanager
def following(shelf, folder, kind=MemoryDataset, staleness_s=60.0, sidecars=Mode.NONE):
    remote = MemoryRemote(kind=kind)
    remote.shelves["signs"] = shelf
    tree = Tree(Index(folder / "index.db", "test"))
    dataset = remote.open("signs", create=False)
    beside = Beside(dataset, sidecars)
    follower = Follower(tree, dataset, Turner(tree), beside, staleness_s=staleness_s)
    try:
        yield tree, follower
    finally:
        follower.stop()
        assert follower.join(5.0)
        tree.index.close()


def names(tree):
    return list(tree.listing(""))


def test_a_start_that_fails_is_tried_again(tmp_path, expect_log):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    trouble = [sqlite3.OperationalError("locked"), OSError("not connected")]

    def attach():
        if trouble:
            raise trouble.pop(0)

    expect_log("following broke")
    with following(shelf, tmp_path, PlainDataset, 0.1) as (tree, follower):
        follower.fill()
        follower.start(attach)
        shelf.store("b.jpg", b"y")
        until(lambda: names(tree) == ["a.jpg", "b.jpg"])
        assert trouble == []


def test_without_a_feed_it_is_listed_anew_as_often_as_was_said(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    with following(shelf, tmp_path, PlainDataset, 0.2) as (tree, follower):
        follower.fill()
        follower.start(lambda: None)
        shelf.store("b.jpg", b"y")
        until(lambda: names(tree) == ["a.jpg", "b.jpg"])
        shelf.trash("a.jpg")
        until(lambda: names(tree) == ["b.jpg"])


def test_without_a_feed_a_restart_lists_at_once(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    with following(shelf, tmp_path, PlainDataset) as (_, follower):
        follower.fill()
    shelf.store("b.jpg", b"y")
    with following(shelf, tmp_path, PlainDataset) as (tree, follower):
        follower.fill()
        follower.start(lambda: None)
        until(lambda: names(tree) == ["a.jpg", "b.jpg"])


def test_names_that_come_later_and_cannot_be_shown_are_told_of(tmp_path, expect_log):
    shelf = Shelf("signs")
    shelf.store("a", b"x")
    with following(shelf, tmp_path) as (_, follower):
        follower.fill()
        shelf.store("..", b"y")
        shelf.store("a/b", b"z")
        expect_log(r"shown under another name item='\.\.' as='%2E%2E'")
        expect_log("several things have this name, one is shown path='a'")
        follower.hear(0.0)


def in_the_way(self, step):
    raise NotNowError(f"item={step.name}")


def test_what_waited_is_forgotten_where_a_listing_says_all_anew(tmp_path, monkeypatch, expect_log):
    """A remote that was restored has nothing of it any more."""
    shelf = Shelf("signs")
    kept = shelf.store("a.jpg", b"x")
    with following(shelf, tmp_path) as (tree, follower):
        follower.fill()
        with monkeypatch.context() as patch:
            patch.setattr(Turner, "carry_out", in_the_way)
            expect_log("shown later than it came")
            follower.take([replace(kept, id="f" * 30, key="b.jpg")])
        follower.compare()
        follower.hear(0.0)
        assert names(tree) == ["a.jpg"]


class Slow(MemoryDataset):
    """A remote that takes its time for sizes."""

    measured = 0.0

    def sizes(self, items):
        time.sleep(self.measured)
        if self.measured:
            raise TransientError("too slow")
        return super().sizes(items)


def sizes_of(tree):
    return [json.loads(tree.file(name).content)["syncd"].get("width") for name in names(tree)[1::2]]


def test_a_filling_waits_so_long_for_sizes_and_tells_them_later(tmp_path, monkeypatch):
    shelf = Shelf("signs")
    for number in range(5):
        body = f"{number}".encode()
        item = shelf.store(f"{number}.jpg", body)
        shelf.sizes[item.digest or ""] = Size(width=number + 1, height=1)
        entry = shelf.entries[item.id]
        shelf.entries[item.id] = replace(entry, item=replace(item, annotated=1))
    monkeypatch.setattr(module, "SIZES_S", 0.01)
    monkeypatch.setattr(module, "SIZED", 2)
    monkeypatch.setattr(Slow, "measured", 0.02)
    with following(shelf, tmp_path, Slow, sidecars=Mode.ALL) as (tree, follower):
        follower.fill()
        assert sizes_of(tree) == [None] * 5
    with following(shelf, tmp_path, Slow, sidecars=Mode.ALL) as (tree, follower):
        with pytest.raises(TransientError):
            follower._tell_sizes()
        assert tree.index.word("sizes") == "later"
        monkeypatch.setattr(Slow, "measured", 0.0)
        for known in (2, 4, 5, 5):
            follower._tell_sizes()
            assert sizes_of(tree) == [*range(1, known + 1), *[None] * (5 - known)]
        assert tree.index.word("sizes") == ""


class Sitting(MemoryDataset):
    """A remote that answers when it is let."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.answer = threading.Event(), threading.Event()

    def changes(self, since, *, wait=0.0, mine=False):
        found = super().changes(since, wait=0.0, mine=mine)
        if wait:
            self.asked.set()
            assert self.answer.wait(10.0)
        return found


def test_an_answer_that_comes_after_the_end_finds_the_index_left_alone(tmp_path, monkeypatch):
    """Whoever waits for the end may close the index while the question is under way."""
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    with following(shelf, tmp_path, Sitting) as (tree, follower):
        dataset = follower._dataset
        follower.fill()
        follower.start(lambda: None)
        assert dataset.asked.wait(10.0)
        follower.stop()
        assert follower.join(0.0), "a question under way is not waited for"
        touched: list[object] = []
        monkeypatch.setattr(tree, "index", None)
        monkeypatch.setattr(follower._index, "word", touched.append)
        monkeypatch.setattr(follower._index, "put_word", lambda *words: touched.append(words))
        dataset.answer.set()
        follower._thread.join(10.0)
        assert touched == []
        monkeypatch.undo()


def test_a_question_that_failed_is_not_under_way(tmp_path, monkeypatch):
    """As that of a start without the remote: then the thread begins, and needs the index."""
    shelf = Shelf("signs")
    begun, leave = threading.Event(), threading.Event()

    def away(*_, **__):
        raise TransientError("away")

    def attach():
        begun.set()
        leave.wait(10.0)

    with following(shelf, tmp_path) as (_, follower):
        follower.fill()
        with monkeypatch.context() as patch:
            patch.setattr(follower._dataset, "changes", away)
            with pytest.raises(TransientError):
                follower.hear(0.0)
        follower.start(attach)
        assert begun.wait(10.0)
        follower.stop()
        assert not follower.join(0.05)
        leave.set()
