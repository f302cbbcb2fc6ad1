"""Walks and looks over real folders with everything in them that a disk can hold."""

from __future__ import annotations

import os
import shutil
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.local.ignore import Filter
from syncd.local.kind import EXTENSIONS
from syncd.local.listing import Listing
from syncd.local.look import Look, look
from syncd.local.scan import walk
from syncd.model import Stat
from tests.local.rights import as_nobody

Tree = Callable[..., Path]


@pytest.fixture
def chosen() -> Filter:
    return Filter(extensions=EXTENSIONS)


def listings(root: Path, chosen: Filter, below: str = "") -> dict[str, Listing]:
    return {listing.dir: listing for listing in walk(root, chosen, below=below)}


def stat_of(path: Path) -> Stat:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def test_one_listing_per_folder_in_order(tree: Tree, chosen: Filter) -> None:
    root = tree({"a/x.jpg": "1", "a-b/y.jpg": "2", "a/b/z.png": "33", "top.mp4": "", "Z/q.txt": ""})
    (root / "empty").mkdir()
    found = list(walk(root, chosen))
    assert [listing.dir for listing in found] == ["", "Z", "a", "a/b", "a-b", "empty"]
    assert found[0].subdirs == ("Z", "a", "a-b", "empty")
    assert found[3].files == {"z.png": stat_of(root / "a/b/z.png")}
    assert found[1].ignored == {"extension .txt": 1}
    assert all(listing.complete and listing.error is None for listing in found)
    parts = [listing.dir.split("/") if listing.dir else [] for listing in found]
    assert parts == sorted(parts)


def test_below(tree: Tree, chosen: Filter) -> None:
    root = tree({"a/x.jpg": "", "a/b/y.jpg": "", "c/z.jpg": "", ".h/i/x.jpg": "", "f.jpg": ""})
    assert list(listings(root, chosen, "a")) == ["a", "a/b"]
    assert list(listings(root, chosen, "a/b")) == ["a/b"]
    assert list(listings(root, chosen, ".h/i")) == []
    for gone in ("nothing", "c/nothing", "f.jpg"):
        assert list(walk(root, chosen, below=gone)) == [Listing(dir=gone)]


def test_a_missing_root_is_unknown_not_empty(tmp_path: Path, chosen: Filter) -> None:
    (found,) = walk(tmp_path / "nothing", chosen)
    assert (found.complete, found.error) == (False, "the folder is missing")
    assert list(walk(tmp_path / "nothing", chosen, below="a")) == []


def test_a_root_that_is_a_link_is_walked(tree: Tree, chosen: Filter, tmp_path: Path) -> None:
    root = tree({"a/x.jpg": ""})
    (tmp_path / "link").symlink_to(root)
    assert list(listings(tmp_path / "link", chosen)) == ["", "a"]
    assert look(tmp_path / "link", chosen, "a/x.jpg") == Look(stat=stat_of(root / "a/x.jpg"))


def test_links(tree: Tree, chosen: Filter, tmp_path: Path) -> None:
    root = tree({"a/x.jpg": "abc"})
    (tmp_path / "outside.jpg").write_text("secret")
    (tmp_path / "tree-beside/sub").mkdir(parents=True)
    (tmp_path / "tree-beside/sub/x.jpg").write_text("secret")
    links: dict[str, str | Path] = {
        "inside.jpg": "a/x.jpg",
        "second.jpg": "inside.jpg",
        "out.jpg": tmp_path / "outside.jpg",
        "up.jpg": "../outside.jpg",
        "beside.jpg": "../tree-beside/sub/x.jpg",
        "outer": "../tree-beside",
        "gone.jpg": "nothing",
        "loop.jpg": "loop.jpg",
        "folder": "a",
        "folder.jpg": "a",
        "device.jpg": "/dev/zero",
        "text.txt": "a/x.jpg",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    found = listings(root, chosen)
    assert list(found) == ["", "a"]
    inside = stat_of(root / "a/x.jpg")
    assert found[""].files == {"inside.jpg": inside, "second.jpg": inside}
    assert found[""].ignored == {
        "link out of the root": 4,
        "dangling link": 2,
        "link to a folder": 1,
        "no extension": 2,
        "extension .txt": 1,
    }
    for name in links:
        expected = inside if name in found[""].files else None
        assert look(root, chosen, name) == Look(stat=expected)
    assert look(root, chosen, "folder/x.jpg") is None
    for folder in ("folder", "outer/sub"):
        assert list(walk(root, chosen, below=folder)) == [Listing(dir=folder)]


def test_what_is_no_file_is_never_opened(tree: Tree, chosen: Filter) -> None:
    """A FIFO opened for reading would hang, a device would answer without end."""
    root = tree({"x.jpg": ""})
    os.mkfifo(root / "fifo.jpg")
    count = 1
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket.jpg"))
        count += 1
        try:
            os.mknod(root / "zero.jpg", 0o020666, os.makedev(1, 5))
            count += 1
        except PermissionError:
            print("no device node: not root")
        found = listings(root, chosen)
        assert list(found[""].files) == ["x.jpg"]
        assert found[""].ignored == {"not a file": count}
        assert look(root, chosen, "fifo.jpg") == look(root, chosen, "socket.jpg") == Look()


NAMES = [
    "a b.jpg",
    "new\nline.jpg",
    "tab\tbell\a.jpg",
    "\U0001f431.jpg",
    "\u00e9.jpg",
    "e\u0301.jpg",
    "X.jpg",
    "x.jpg",
    "back\\slash.jpg",
    "-rf.jpg",
    "quote'\".jpg",
    "n" * 251 + ".jpg",
    "\u732b" * 83 + "ab.jpg",
    "trailing .jpg",
    "\u202egnp.jpg",
]


def test_names_are_carried_exactly(tmp_path: Path, chosen: Filter) -> None:
    for name in NAMES:
        (tmp_path / name).write_text(name)
        (tmp_path / name[:-4]).mkdir()
    found = listings(tmp_path, chosen)
    assert found[""].files == {name: stat_of(tmp_path / name) for name in NAMES}
    assert sorted(found) == sorted(["", *(name[:-4] for name in NAMES)])
    for name in NAMES:
        assert look(tmp_path, chosen, name) == Look(stat=stat_of(tmp_path / name))


def test_names_that_are_not_text_are_refused_and_shown(tmp_path: Path, chosen: Filter) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/d\xff")
    for name in (b"/bad\xe9.jpg", b"/bad\xe9.txt", b"/d\xff/x.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path) + name)).touch()
    (tmp_path / os.fsdecode(b"link\xe9.jpg")).symlink_to(os.fsdecode(b"bad\xe9.jpg"))
    (found,) = walk(tmp_path, chosen)
    assert found.files == {}
    assert found.ignored == {"extension .txt": 1}
    assert sorted(found.refused) == [
        ("bad\\xe9.jpg", "the name is not UTF-8: rename it"),
        ("d\\xff", "the name is not UTF-8: rename it"),
        ("link\\xe9.jpg", "the name is not UTF-8: rename it"),
    ]
    assert look(tmp_path, chosen, os.fsdecode(b"bad\xe9.jpg")) == Look()
    assert look(tmp_path, chosen, os.fsdecode(b"gone\xe9.jpg")) == Look()


def test_ignore_files_are_read_on_the_way(tree: Tree, chosen: Filter) -> None:
    root = tree(
        {
            ".syncdignore": "raw/\n*.png\n",
            "raw/x.jpg": "",
            "a/.syncdignore": "!*.png\nx.jpg\n",
            "a/x.jpg": "",
            "a/y.png": "",
            "z.png": "",
        }
    )
    found = listings(root, chosen)
    assert list(found) == ["", "a"]
    assert (list(found[""].files), list(found["a"].files)) == ([], ["y.png"])
    assert found[""].ignored == {".syncdignore folder": 1, ".syncdignore": 1}
    fresh = Filter(extensions=EXTENSIONS)
    assert list(listings(root, fresh, "raw")) == []
    assert list(listings(root, fresh, "a")["a"].files) == ["y.png"]


def test_what_is_syncds_own_is_not_counted(tree: Tree, chosen: Filter) -> None:
    root = tree({".syncdignore": "", "a/.syncdignore": "", ".syncd-root": "", ".hidden": ""})
    found = listings(root, chosen)
    assert (found[""].ignored, found["a"].ignored) == ({"hidden": 1}, {})
    assert not found[""].files


def test_an_ignore_file_nobody_understands_makes_the_folder_unknown(
    tree: Tree, chosen: Filter
) -> None:
    root = tree({"a/.syncdignore": "!\n", "a/x.jpg": "", "a/b/y.jpg": "", "c/z.jpg": ""})
    found = listings(root, chosen)
    assert list(found) == ["", "a", "c"]
    assert not found["a"].complete
    assert ".syncdignore" in (found["a"].error or "")
    assert [listing.complete for listing in walk(root, chosen, below="a/b")] == [False]


@pytest.fixture
def locked(public: Path) -> Iterator[Path]:
    with as_nobody():
        for name in ("closed", "blind", "open"):
            (public / name / "sub").mkdir(parents=True)
            (public / name / "x.jpg").touch()
        (public / "closed").chmod(0o000)
        (public / "blind").chmod(0o444)
        yield public
        (public / "closed").chmod(0o700)
        (public / "blind").chmod(0o700)


def test_a_folder_that_cannot_be_read_is_unknown(locked: Path, chosen: Filter) -> None:
    found = listings(locked, chosen)
    assert list(found) == ["", "blind", "blind/sub", "closed", "open", "open/sub"]
    for name in ("closed", "blind"):
        assert not found[name].complete
        assert "no right to read it" in (found[name].error or "")
    assert not found["blind/sub"].complete
    assert found["open"].complete
    assert look(locked, chosen, "closed/x.jpg") == Look()


def test_what_vanishes_in_mid_walk_is_no_error(tree: Tree, chosen: Filter) -> None:
    root = tree({f"{name}/x.jpg": "" for name in "abcd"})
    seen = []
    for listing in walk(root, chosen):
        seen.append(listing.dir)
        assert listing.complete
        if listing.dir == "a":
            shutil.rmtree(root / "b")
            shutil.rmtree(root / "c")
            (root / "c").symlink_to("d")
    assert seen == ["", "a", "d"]


def test_files_that_vanish_under_the_scan_are_left_out(tree: Tree, chosen: Filter) -> None:
    class Deleting(Filter):
        def rule(self, dir: str, name: str) -> str | None:
            (root / name).unlink()
            return None

    root = tree({f"{n}.jpg": "" for n in range(5)})
    (found,) = walk(root, Deleting(extensions=frozenset()))  # none is plain: each is asked about
    assert (found.files, found.complete) == ({}, True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
        (FileNotFoundError(2, "No such file or directory"), "the folder is missing"),
    ],
)
def test_a_folder_that_fails_in_the_middle_is_unknown(
    tree: Tree, chosen: Filter, monkeypatch: pytest.MonkeyPatch, error: OSError, told: str
) -> None:
    root = tree({"a/x.jpg": "", "b/y.jpg": ""})

    def broken(path: object) -> object:
        raise error

    monkeypatch.setattr(os, "scandir", broken)
    (found,) = walk(root, chosen)
    assert (found.complete, found.error) == (False, told)


def test_memory_does_not_grow_with_the_tree(tmp_path: Path, chosen: Filter) -> None:
    def peak(root: Path) -> int:
        tracemalloc.start()
        for _ in walk(root, chosen):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    for folders, name in ((2, "small"), (60, "large")):
        for number in range(folders):
            (tmp_path / name / f"{number:02}").mkdir(parents=True)
            for file in range(50):
                (tmp_path / name / f"{number:02}/{file}.jpg").touch()
    peak(tmp_path / "small")
    assert peak(tmp_path / "large") < 2 * peak(tmp_path / "small")


def test_look_tells_files_folders_and_nothing_apart(tree: Tree, chosen: Filter) -> None:
    root = tree({"a/x.jpg": "abc", "a/x.txt": "", ".h/x.jpg": ""})
    assert look(root, chosen, "a/x.jpg") == Look(stat=stat_of(root / "a/x.jpg"))
    assert look(root, chosen, "a") == Look(folder=True)
    assert look(root, chosen, "a/x.txt") == look(root, chosen, ".h/x.jpg") == Look()
    assert look(root, chosen, "a/y.jpg") is None
    assert look(root, chosen, "a/x.jpg/y.jpg") is None


def test_look_heeds_ignore_files_that_no_scan_has_read(tree: Tree, chosen: Filter) -> None:
    root = tree({"a/.syncdignore": "raw/\n", "a/raw/x.jpg": "", "b/.syncdignore": "!\n"})
    (root / "b/x.jpg").touch()
    assert look(root, chosen, "a/raw/x.jpg") == look(root, chosen, "b/x.jpg") == Look()
    (root / "a/.syncdignore").unlink()
    assert look(root, chosen, "a/raw/x.jpg") == Look(stat=stat_of(root / "a/raw/x.jpg"))
