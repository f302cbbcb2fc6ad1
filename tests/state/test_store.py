"""The state file: what is seen, placed, stored and due; and files that cannot be used."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest

from syncd.errors import StateError
from syncd.model import Receipt
from syncd.state.folder import FILE
from syncd.state.store import VERSION, State
from syncd.state.troubles import Trouble
from tests.local.rights import as_nobody

STAT, OTHER, THIRD = (3, 1_000, 11), (3, 2_000, 11), (4, 3_000, 12)
DIGEST, NEWER = "a" * 64, "b" * 64


def receipt(id="i1", key="a/1.jpg", version=1, digest=DIGEST, stored_ns=5):
    return Receipt(key=key, id=id, version=version, digest=digest, stored_ns=stored_ns)


def seen(state, path="a/1.jpg", stat=STAT, due=10):
    folder, _, name = path.rpartition("/")
    state.files.see(folder, {name: stat}, due)


def stored(state, path="a/1.jpg", stat=STAT, **more):
    seen(state, path, stat)
    state.receipts.agree([(path, stat, receipt(**{"key": path, "id": f"id of {path}"} | more))])


# --- observations ---------------------------------------------------------------------------------


def test_what_is_seen_is_due(state):
    seen(state)
    row = state.files.row("a/1.jpg")
    assert (row.path, row.stat, row.due, row.digest, row.receipt) == (
        "a/1.jpg", STAT, 10, None, None,
    )  # fmt: skip
    assert state.files.observed("a") == {"1.jpg": STAT}
    assert state.files.observed("") == {}


def test_files_of_the_root_have_no_folder(state):
    seen(state, "1.jpg")
    assert state.files.row("1.jpg").dir == ""
    assert state.files.observed("") == {"1.jpg": STAT}


def test_a_change_drops_the_digest_and_keeps_what_the_receipt_is_about(state):
    stored(state)
    seen(state, stat=OTHER)
    row = state.files.row("a/1.jpg")
    assert (row.digest, row.was, row.kept, row.displaced) == (None, STAT, STAT, True)
    seen(state, stat=THIRD)
    assert state.files.row("a/1.jpg").was == STAT
    state.files.read("a/1.jpg", THIRD, DIGEST, 1)
    row = state.files.row("a/1.jpg")
    assert (row.kept, row.displaced) == (None, False)


def test_the_same_look_again_keeps_the_digest(state):
    stored(state)
    seen(state)
    row = state.files.row("a/1.jpg")
    assert (row.digest, row.was, row.due) == (DIGEST, None, 10)


def test_gone_with_a_receipt_is_kept_and_without_is_forgotten(state):
    stored(state)
    seen(state, "a/2.jpg")
    state.troubles.note(Trouble(path="a/2.jpg", kind="failed", reason="why"))
    state.files.miss("a", ["1.jpg", "2.jpg"], 20, 30)
    row = state.files.row("a/1.jpg")
    assert (row.gone, row.due, row.local, row.kept) == (20, 30, None, STAT)
    assert state.files.row("a/2.jpg") is None
    assert state.troubles.all() == []
    assert state.files.observed("a") == {}


def test_back_again(state):
    stored(state)
    state.files.miss("a", ["1.jpg"], 20, 30)
    seen(state)
    row = state.files.row("a/1.jpg")
    assert (row.gone, row.digest) == (None, DIGEST)


def test_what_a_new_file_may_have_been(state):
    stored(state, "gone.jpg", STAT)
    stored(state, "alike.jpg", (3, 7, 13))
    stored(state, "replaced.jpg", (9, 9, 14))
    stored(state, "there.jpg", (3, 8, 15))
    state.files.miss("", ["gone.jpg", "alike.jpg"], 20, None)
    seen(state, "replaced.jpg", (1, 1, 16))
    found = {row.path for row in state.files.vanished([STAT, (9, 9, 14)])}
    assert found == {"gone.jpg", "alike.jpg", "replaced.jpg"}
    assert state.files.vanished([(99, 9, 99)]) == []
    assert [row.path for row in state.files.unsettled_as((1, 1, 16))] == ["replaced.jpg"]
    seen(state, "new.jpg", (5, 5, 17))
    assert [row.path for row in state.files.unsettled_as((5, 5, 17))] == ["new.jpg"]
    assert state.files.unsettled_as((3, 8, 15)) == []


def test_folders_are_listed_with_all_below_and_nothing_beside(state):
    for path in ("a/1", "a/b/2", "a!/3", "ab/4", "a0/5", "6"):
        seen(state, f"{path}.jpg")
    assert list(state.folders.below("")) == ["", "a", "a!", "a/b", "a0", "ab"]
    assert list(state.folders.below("a")) == ["a", "a/b"]
    assert state.folders.any_at("a/b")
    assert not state.folders.any_at("zz")


def test_a_print_is_dropped_by_whatever_changes_a_row(state):
    stored(state)
    changes = [
        lambda: seen(state, stat=OTHER),
        lambda: state.files.miss("a", ["1.jpg"], 1, None),
        lambda: seen(state, "a/2.jpg"),
        lambda: state.files.read("a/2.jpg", THIRD, DIGEST, None),
        lambda: state.files.forget(["a/2.jpg"]),
    ]
    for change in changes:
        state.folders.keep_print("a", "print")
        assert state.folders.print_of("a") == "print"
        change()
        assert state.folders.print_of("a") is None
    state.folders.keep_print("a", "print")
    state.agenda.settle("a/1.jpg", 5)
    assert state.folders.print_of("a") == "print"


# --- names ----------------------------------------------------------------------------------------


def test_a_key_has_one_holder(state):
    seen(state, "a/1.jpg")
    seen(state, "b/1.jpg")
    assert state.names.place_free({"a/1.jpg": "1.jpg"})
    assert not state.names.place_free({"b/1.jpg": "1.jpg"})
    with pytest.raises(sqlite3.IntegrityError):
        state.names.place([("b/1.jpg", "1.jpg")])
    state.names.evict("b/1.jpg", "1.jpg")
    state.names.place([("b/1.jpg", "1.jpg")])
    assert state.names.holders(["1.jpg", "2.jpg"])["1.jpg"].path == "b/1.jpg"
    assert state.files.row("a/1.jpg").key is None
    assert state.files.row("a/1.jpg").due is not None


def test_none_of_several_is_placed_where_one_is_taken(state):
    for path in ("1.jpg", "2.jpg", "3.jpg"):
        seen(state, path)
    state.names.place([("1.jpg", "x")])
    assert not state.names.place_free({"2.jpg": "y", "3.jpg": "x"})
    assert state.files.row("2.jpg").key is None


def test_renamed_counts_what_has_another_name_than_its_own(state):
    for path, key in {"a/1.jpg": "a/1.jpg", "a/b/2.jpg": "a/2~b.jpg", "3.jpg": "3.jpg"}.items():
        seen(state, path)
        state.names.place([(path, key)])
    assert state.names.renamed() == 1


# --- receipts -------------------------------------------------------------------------------------


def test_a_receipt_settles_the_row(state):
    seen(state)
    state.troubles.note(Trouble(path="a/1.jpg", kind="failed", reason="why", retry_ns=7))
    state.receipts.agree([("a/1.jpg", STAT, receipt())])
    row = state.files.row("a/1.jpg")
    assert (row.due, row.digest, row.key, row.receipt) == (None, DIGEST, "a/1.jpg", receipt())
    assert state.troubles.all() == []
    assert state.receipts.by_item(["i1", "i2"]) == {"i1": row}


def test_one_item_has_one_receipt(state):
    stored(state, "1.jpg", id="i1")
    seen(state, "2.jpg")
    state.receipts.agree([("2.jpg", STAT, receipt(key="2.jpg"))])
    assert state.files.row("1.jpg").receipt is None
    assert state.files.row("1.jpg").due is not None
    assert state.files.row("2.jpg").receipt.id == "i1"
    state.receipts.own("1.jpg", receipt(key="1.jpg"))
    assert state.files.row("2.jpg").receipt is None


def test_a_receipt_takes_its_key_from_whoever_got_it_meanwhile(state):
    seen(state, "1.jpg")
    seen(state, "2.jpg")
    state.names.place([("2.jpg", "k")])
    state.receipts.agree([("1.jpg", STAT, receipt(key="k"))])
    assert state.files.row("1.jpg").key == "k"
    assert state.files.row("2.jpg").key is None


def test_a_receipt_for_content_that_is_no_more(state):
    seen(state, stat=OTHER)
    state.receipts.receive("a/1.jpg", STAT, receipt(), 9)
    row = state.files.row("a/1.jpg")
    assert (row.stat, row.digest, row.kept, row.due) == (OTHER, None, STAT, 9)


def test_an_abandoned_item_is_remembered_as_nobodys(state):
    stored(state)
    state.receipts.abandon(["a/1.jpg", "none.jpg"])
    assert state.files.row("a/1.jpg") is None
    item = state.overlay.at(["a/1.jpg"])["a/1.jpg"]
    assert (item.id, item.digest, item.version) == ("id of a/1.jpg", DIGEST, 1)


def test_counts(state):
    stored(state, "1.jpg")
    stored(state, "2.jpg")
    seen(state, "3.jpg")
    assert state.receipts.count() == (2, 0)
    state.files.miss("", ["1.jpg"], 20, None)
    assert state.receipts.count() == (2, 1)
    assert state.receipts.count_gone(19) == 1
    assert state.receipts.count_gone(20) == 0
    assert [row.path for row in state.receipts.removals()] == ["1.jpg"]
    assert state.files.unsent() == ["3.jpg"]
    seen(state, "2.jpg", OTHER)
    state.files.read("2.jpg", OTHER, NEWER, None)
    assert state.files.unsent() == ["2.jpg", "3.jpg"]


# --- the file -------------------------------------------------------------------------------------


def test_what_was_committed_is_there_and_what_was_not_is_not(tmp_path):
    first = State(tmp_path)
    seen(first, "1.jpg")
    first.meta.put(word={"a": [1, None]})
    first.commit()
    seen(first, "2.jpg")
    first._sql.close()  # the process ends here
    second = State(tmp_path)
    assert second.files.observed("") == {"1.jpg": STAT}
    assert second.meta.get("word") == {"a": [1, None]}
    assert second.meta.get("none", 5) == 5
    second.close()


def test_nobody_else_may_read_it(tmp_path):
    State(tmp_path).close()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_reset_forgets_everything(state):
    stored(state)
    state.meta.put(word=1)
    state.troubles.note(Trouble(path="a/1.jpg", kind="failed", reason="why"))
    state.reset()
    assert state.files.row("a/1.jpg") is None
    assert state.meta.get("word") is None
    assert state.troubles.all() == []


def test_a_snapshot_is_a_copy_that_changes_nothing(tmp_path):
    state = State(tmp_path)
    seen(state, "1.jpg")
    state.meta.put(word=1)
    state.commit()
    twin = State.snapshot(tmp_path)
    assert twin.files.observed("") == {"1.jpg": STAT}
    assert twin.meta.get("word") == 1
    twin.reset()
    twin.close()
    assert state.files.observed("") == {"1.jpg": STAT}
    state.close()
    empty = State.snapshot(tmp_path / "none")
    assert empty.files.observed("") == {}
    empty.close()


def test_a_newer_version_is_left_alone(tmp_path):
    State(tmp_path).close()
    sql = sqlite3.connect(tmp_path / FILE)
    sql.execute(f"PRAGMA user_version = {VERSION + 1}")
    sql.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StateError, match=r"written by a newer syncd.*update syncd"):
        State(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_every_migration_is_counted(tmp_path):
    state = State(tmp_path)
    assert state._sql.execute("PRAGMA user_version").fetchone() == (VERSION,)
    state.close()


@pytest.mark.parametrize("damage", ["garbage", "header", "middle", "cut"])
def test_a_damaged_file_is_said_with_a_way_back(tmp_path, damage):
    state = State(tmp_path)
    for n in range(2000):
        seen(state, f"{n}.jpg")
    state.close()
    data = bytearray((tmp_path / FILE).read_bytes())
    if damage == "garbage":
        data = bytearray(b"this is no database" * 1000)
    elif damage == "header":
        data[:100] = bytes(100)
    elif damage == "middle":
        data[4096 : len(data) - 4096] = bytes(len(data) - 8192)
    else:
        data = data[: len(data) // 2]
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(StateError, match=r"state\.db.*delete it") as caught:
        use(tmp_path)
    assert caught.value.exit_code == 1


def use(folder: Path) -> None:
    """Open it, and go through all of it, as a run does."""
    state = State(folder)
    try:
        with state.in_use():
            for n in range(2000):
                state.files.row(f"{n}.jpg")
            seen(state, "new.jpg")
        state.commit()
    finally:
        state._sql.close()


def test_a_file_that_may_not_be_written():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        State(folder).close()
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        with as_nobody(), pytest.raises(StateError, match="mend its rights"):
            use(folder)
        folder.chmod(0o755)


def test_a_full_disk_is_said(tmp_path):
    state = State(tmp_path)
    state._sql.execute("PRAGMA max_page_count = 40")
    many = {f"{n}.jpg": STAT for n in range(100_000)}
    with pytest.raises(StateError, match="free space"), state.in_use():
        state.files.see("", many, 0)
    state._sql.close()
