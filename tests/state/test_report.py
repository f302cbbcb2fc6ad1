"""What status tells beside whoever writes."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from syncd.errors import StateError
from syncd.model import Item, ItemState, Receipt
from syncd.state import report
from syncd.state.folder import FILE
from syncd.state.lock import FolderLock
from syncd.state.report import _way_out, file_status, mirrors, status
from syncd.state.store import State
from syncd.state.troubles import Trouble

STAT = (3, 1_000, 11)
DIGEST = "a" * 64


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "in-0123"
    folder.mkdir()
    made = State(folder)
    made.meta.put(name="in", root_path="/in", dataset_name="pets", remote="hub", last_sweep=9)
    made.files.see("a", {"stored.jpg": STAT, "new.jpg": STAT, "torn.jpg": STAT}, 3)
    receipt = Receipt(key="a/stored.jpg", id="i1", version=1, digest=DIGEST, stored_ns=5)
    made.receipts.agree([("a/stored.jpg", STAT, receipt)])
    made.troubles.note(Trouble(path="a/torn.jpg", kind="conflict", reason="why", since_ns=4))
    made.commit()
    yield made
    made.close()


@pytest.fixture
def folder(state, tmp_path):
    return tmp_path / "in-0123"


def test_the_whole_mirror(state, folder):
    found = status(folder)
    assert (found.name, found.root, found.dataset, found.remote) == ("in", "/in", "pets", "hub")
    assert (found.synced, found.pending, found.last_sweep) == (1, 1, 9)
    assert [trouble.path for trouble in found.troubles] == ["a/torn.jpg"]
    assert mirrors(folder.parent) == [folder]


def test_in_what_state_it_is(state, folder, monkeypatch):
    monkeypatch.setattr(report, "LOOK_S", 20.0)

    def condition(**meta):
        state.meta.put(**meta)
        state.commit()
        found = status(folder)
        return found.state, found.reason, found.plan

    lacking = "; the folder is not there"
    assert condition() == ("stopped", f"no daemon watches this folder{lacking}", None)
    for there in (str(folder), f"/{300 * 'x'}"):  # or nobody can tell
        assert condition(root_path=there)[1] == "no daemon watches this folder"
    with FolderLock(folder, what="it"):
        assert condition() == ("watching", "", None)
        assert status(folder).pid == os.getpid()
        assert condition(coverage="no events here")[:2] == ("scanning", "no events here")
        assert condition(held={"plan": "p1", "reason": "many"}) == (
            "held", "many; nothing is removed before syncd approve", "p1",
        )  # fmt: skip
        assert condition(away={"reason": "far", "until_ns": 1})[:2] == ("waiting", "far")
        gate = {"kind": "root", "reason": "moved", "plan": "p2", "ask": True}
        assert condition(gate=gate) == ("paused", "moved", "p2")
        assert condition(gate=gate | {"ask": False}) == ("paused", "moved", None)
    state.meta.put(root_path="/in")
    assert condition(gate=gate)[1] == "moved", "the gate says what is with the folder"
    assert condition(gate=gate | {"kind": "generation"})[1] == f"moved{lacking}"


def test_a_folder_on_a_disk_that_does_not_answer_holds_nobody_up(state, folder, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(Path, "is_dir", lambda path: not answers.wait())
    state.meta.put(root_path="/net/far")
    state.commit()
    try:
        assert status(folder).reason == "no daemon watches this folder"
    finally:
        answers.set()


def test_one_file(state, folder):
    found = file_status(folder, "a/stored.jpg")
    assert (found.safe, found.key, found.digest, found.stored_ns, found.reason) == (
        True, "a/stored.jpg", DIGEST, 5, "stored",
    )  # fmt: skip
    assert file_status(folder, "a/new.jpg").reason == "waits to be sent"
    torn = file_status(folder, "a/torn.jpg")
    assert (torn.safe, torn.reason) == (False, "conflict: why")
    assert file_status(folder, "a/none.jpg") is None
    assert "not UTF-8" in file_status(folder, "a/\udcff.jpg").reason


def test_changed_since_is_not_safe(state, folder):
    state.files.see("a", {"stored.jpg": (4, 2_000, 11)}, 6)
    state.commit()
    found = file_status(folder, "a/stored.jpg")
    assert (found.safe, found.reason) == (False, "changed since it was stored: waits to be sent")


@pytest.mark.parametrize(
    "news", [{"state": ItemState.TRASHED}, {"digest": "b" * 64, "version": 2}, None]
)
def test_what_the_remote_does_not_hold_any_more_is_not_safe(state, folder, news):
    item = Item(key="a/stored.jpg", id="i1", version=1, digest=DIGEST)
    if news is None:
        state.overlay.absent(state.files.row("a/stored.jpg").receipt, 6)
    else:
        state.overlay.learn([Item(**{f: getattr(item, f) for f in ("key", "id")} | news)], 6)
    state.commit()
    assert not file_status(folder, "a/stored.jpg").safe


def test_gone_here(state, folder):
    state.files.miss("a", ["stored.jpg"], 6, 7)
    state.commit()
    found = file_status(folder, "a/stored.jpg")
    assert (found.safe, found.reason) == (False, "gone here")


def test_reading_waits_for_nobody(state, folder):
    state.files.see("a", {"more.jpg": STAT}, 3)  # not committed: a writer at work
    assert status(folder).pending == 1


def test_a_file_that_is_none(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database" * 500)
    with pytest.raises(StateError, match=r"cannot be read.*delete it"):
        status(tmp_path)
    with pytest.raises(StateError):
        file_status(tmp_path, "1.jpg")


def test_no_mirrors_yet(tmp_path):
    assert mirrors(tmp_path / "none") == []
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / FILE).touch()
    assert mirrors(tmp_path) == []


def test_a_file_that_is_in_use_is_not_to_be_deleted():
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorname = "SQLITE_BUSY"
    assert _way_out(error) == "somebody is at it: ask again"
    assert "delete it" in _way_out(sqlite3.DatabaseError("malformed"))


def test_nobody_is_told_to_delete_a_state_file_whose_disk_is_full():
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_WRITE"
    assert _way_out(error) == "its disk may be full: make room, and it is as it was"
    assert "delete it" in _way_out(sqlite3.DatabaseError("file is not a database"))
