"""The tree of names against a plain model of it, filled, fed and compared in any order."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.errors import TransientError
from syncd.model import Item
from syncd.mount.filling import rows_of
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.names import Rank, beside, place
from syncd.mount.rows import ROOT, Row, Step
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.memory import Fault, MemoryDataset, MemoryRemote
from syncd.remotes.shelf import Shelf

KEYS = st.lists(
    st.sampled_from(["a", "b", "a.json", "..", "x" * 300, "", "a\0", "a%00", ".syncd-old"]),
    min_size=1,
    max_size=3,
).map("/".join)
ACTS = st.lists(
    st.tuples(st.sampled_from(["store", "store", "trash", "rename", "look"]), KEYS, KEYS,
              st.binary(max_size=3)),
    max_size=25,
)  # fmt: skip


class Json:
    """A sidecar for every item whose content is longer than one byte."""

    patience_s = 0.0

    def of(self, items: Sequence[Item]) -> dict[str, bytes]:
        return {item.id: f"{item.digest}".encode() for item in items if (item.size or 0) > 1}


@contextmanager
def following(shelf: Shelf, folder: Path) -> Iterator[tuple[Tree, Follower, MemoryRemote]]:
    remote = MemoryRemote()
    remote.shelves[shelf.name] = shelf
    tree = Tree(Index(folder / "index.db", "test"))
    dataset = remote.open(shelf.name, create=False)
    follower = Follower(tree, dataset, Turner(tree), Json())
    try:
        yield tree, follower, remote
    finally:
        tree.index.close()


def shown(tree: Tree, path: str = "") -> dict[str, tuple[int, str | None]]:
    """Every file the tree shows: its size, and the id of the item it is of; folders end in /."""
    found: dict[str, tuple[int, str | None]] = {}
    for name, seen in tree.listing(path).items():
        at = f"{path}/{name}" if path else name
        assert tree.look(at) == seen
        if seen.rank == Rank.FOLDER:
            below = shown(tree, at)
            assert below, f"{at} is empty"
            found |= below
        else:
            row = tree.file(at)
            found[at] = (seen.size, row.item)
            if row.content is None:
                assert tree.item(row).key.split("/")[-1:] is not None
    return found


def expected(shelf: Shelf) -> dict[str, tuple[int, str | None]]:
    """The same, from what the shelf holds, by the rule of ranks alone."""
    claims: dict[str, list[tuple[int, int, str]]] = {}
    folders = set()
    sidecars = Json().of(shelf.present())
    for item in shelf.present():
        at = place(item.key)
        folders |= {"/".join(at.folders[:n]) for n in range(1, len(at.folders) + 1)}
        path = "/".join((*at.folders, at.name))
        claims.setdefault(path, []).append((at.rank, item.size or 0, item.id))
        if item.id in sidecars:
            path = "/".join((*at.folders, beside(at.name)))
            claims.setdefault(path, []).append((Rank.SIDECAR, len(sidecars[item.id]), item.id))
    return {path: some for path, some in best(claims).items() if path not in folders}


def best(claims: dict[str, list[tuple[int, int, str]]]) -> dict[str, tuple[int, str | None]]:
    lowest = {path: min(rank for rank, _, _ in some) for path, some in claims.items()}
    return {
        path: next((size, id) for rank, size, id in some if rank == lowest[path])
        for path, some in claims.items()
    }


def alike(tree: Tree, shelf: Shelf) -> None:
    """Which of several of one rank is shown is the index's choice; all else is settled."""
    found, wanted = shown(tree), expected(shelf)
    assert found.keys() == wanted.keys()
    ids = {item.id for item in shelf.present()}
    for path, (_, id) in found.items():
        assert id in ids, path
    lone = [p for p in wanted if not p.count("x" * 20) and "%" not in p]
    assert {p: found[p] for p in lone} == {p: wanted[p] for p in lone}


def act(shelf: Shelf, what: str, key: str, other: str, content: bytes) -> None:
    if what == "store":
        shelf.store(key, content)
    elif what == "trash" and shelf.find(key):
        shelf.trash(key)
    elif what == "rename" and shelf.find(key) and not shelf.find(other):
        shelf.rename(key, other)


@given(ACTS, ACTS, st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_tree_is_what_the_dataset_holds(allow_log, before, after, by_listing):
    allow_log("shown under another name|several things")
    shelf = Shelf("signs")
    for what, key, other, content in before:
        act(shelf, what, key, other, content)
    with TemporaryDirectory() as folder, following(shelf, Path(folder)) as (tree, follower, _):
        follower.fill()
        alike(tree, shelf)
        for what, key, other, content in after:
            act(shelf, what, key, other, content)
            if what == "look":
                follower.hear(0.0)
                alike(tree, shelf)
        if by_listing:
            follower.compare()
        else:
            follower.hear(0.0)
        alike(tree, shelf)


def test_every_version_has_a_number_of_its_own(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"one")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        first = tree.look("a.jpg").ino
        follower.compare()
        assert tree.look("a.jpg").ino == first
        shelf.store("a.jpg", b"two")
        follower.hear(0.0)
        assert tree.look("a.jpg").ino != first
        assert tree.row(first).digest != tree.file("a.jpg").digest
        assert tree.item(tree.row(first)).version == 1


def test_numbers_outlive_a_restart_and_old_versions_do_not(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"one")
    shelf.store("b.jpg", b"one")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        kept, gone = tree.look("a.jpg").ino, tree.look("b.jpg").ino
        shelf.store("b.jpg", b"two")
        follower.hear(0.0)
    with following(shelf, tmp_path) as (tree, follower, remote):
        remote.trouble = lambda request: Fault.UNREACHABLE
        follower.fill()  # nothing is asked: all is there
        assert tree.look("a.jpg").ino == kept
        with pytest.raises(OSError, match="Stale"):
            tree.row(gone)


def test_a_listing_that_breaks_off_removes_nothing(tmp_path, monkeypatch):
    shelf = Shelf("signs")
    for number in range(2500):
        shelf.store(f"{number}.jpg", b"x")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        shelf.trash("0.jpg")
        monkeypatch.setattr(MemoryDataset, "items", broken_off)
        with pytest.raises(TransientError):
            follower.compare()
        assert len(tree.listing("")) == 2500


def broken_off(dataset: MemoryDataset, folder: str = "") -> Iterator[Item]:
    yield from dataset.shelf.present()[:1500]
    raise TransientError("the connection broke")


def test_a_filling_that_breaks_off_is_begun_anew(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    with following(shelf, tmp_path) as (tree, follower, remote):
        remote.trouble = lambda request: Fault.UNREACHABLE if request.call == "items" else None
        with pytest.raises(TransientError):
            follower.fill()
        assert not tree.index.filled
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        assert list(tree.listing("")) == ["a.jpg"]


def test_another_history_is_compared_not_followed(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    backup = shelf.backup()
    with following(shelf, tmp_path) as (tree, follower, _):
        shelf.store("b.jpg", b"y")
        follower.fill()
        shelf.put_back(backup, "second")
        follower.hear(0.0)
        assert list(tree.listing("")) == ["a.jpg"]


def test_a_damaged_index_is_made_anew(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
    (tmp_path / "index.db").write_bytes(b"no database at all" * 1000)
    with following(shelf, tmp_path) as (tree, follower, _):
        assert not tree.index.filled
        follower.fill()
        assert list(tree.listing("")) == ["a.jpg"]


def test_an_index_damaged_beyond_its_header_is_made_anew(tmp_path, expect_log):
    shelf = Shelf("signs")
    for number in range(500):
        shelf.store(f"{number:04}.jpg", b"x")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        (root,) = tree.index._db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'rows'"
        ).fetchone()
        (page,) = tree.index._db.execute("PRAGMA page_size").fetchone()
    with (tmp_path / "index.db").open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    expect_log("the index is damaged and begins anew")
    with following(shelf, tmp_path) as (tree, follower, _):
        assert not tree.index.filled
        follower.fill()
        assert len(tree.listing("")) == 500


def test_a_number_never_comes_again(tmp_path):
    shelf = Shelf("signs")
    shelf.store("a.jpg", b"x")
    used = set()
    for look in (True, False, True):
        shelf.store("b.jpg", b"y")
        with following(shelf, tmp_path) as (tree, follower, _):
            follower.fill()
            follower.hear(0.0)
            number = tree.file("b.jpg").ino
            assert number not in used
            used.add(number)
            if look:
                tree.look("b.jpg")  # so that it is kept, until the next start
            shelf.trash("b.jpg")
            follower.hear(0.0)


def test_folders_beyond_what_memory_keeps_are_answered_alike(tmp_path, monkeypatch):
    monkeypatch.setattr("syncd.mount.tree.KEPT_NAMES", 10)
    shelf = Shelf("signs")
    for folder in range(6):
        for number in range(6):
            shelf.store(f"{folder}/{number}", b"x" * folder)
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        alike(tree, shelf)
        alike(tree, shelf)
        assert tree._names <= 10


def test_neighbours_follow_in_the_order_of_listings(tmp_path):
    shelf = Shelf("signs")
    keys = ["a/1", "a/2", "a/b/1", "c/1", "c/2", "d"]
    for key in keys:
        shelf.store(key, b"x")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        first = tree.item(tree.file("a/1"))
        assert [item.key for item in tree.next_items(first, 2)] == ["a/2", "c/1"]
        assert {item.key for item in tree.items("")} == set(keys)
        assert [item.key for item in tree.items("a")] == ["a/1", "a/2", "a/b/1"]


def test_what_a_kill_left_in_the_middle_is_put_right(tmp_path):
    """A move is a row that comes and one that goes: killed between, both are there."""
    shelf = Shelf("signs")
    item = shelf.store("a/b/1.jpg", b"x")
    shelf.store("c.jpg", b"x")
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        row = next(rows_of(replace(item, key="2.jpg"), None))._replace(ino=tree.index.number())
        tree.apply(Step(folder=row.folder, name=row.name, add=row))
        empty = Row(tree.index.number(), ROOT, "empty", Rank.FOLDER, 0, 0)
        tree.apply(Step(folder=ROOT, name="empty", add=empty))
        (tmp_path / "killed").mkdir()
        for file in tmp_path.glob("index.db*"):
            shutil.copy(file, tmp_path / "killed")
    shelf.rename("a/b/1.jpg", "2.jpg")
    with following(shelf, tmp_path / "killed") as (tree, follower, _):
        assert "empty" not in tree.listing("")
        assert "a" in tree.listing("")
        follower.hear(0.0)
        alike(tree, shelf)


def test_many_may_look_while_it_changes(tmp_path):
    shelf = Shelf("signs")
    for number in range(50):
        shelf.store(f"{number}", b"x")
    wrong: list[object] = []
    with following(shelf, tmp_path) as (tree, follower, _):
        follower.fill()
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                for name, seen in tree.listing("").items():
                    if seen.size != 1 or tree.file(name).ino < seen.ino:
                        wrong.append((name, seen))

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(200):
            shelf.store(f"{number % 50}", b"xy"[number // 50 % 2 :][:1])
            follower.hear(0.0)
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []
