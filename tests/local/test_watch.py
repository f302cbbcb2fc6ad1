"""Events of real files in real folders become hints."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tests.local.ear import Ear, branch, file


def test_a_file_is_prompt_when_its_writer_closed_it(ear: Ear, root: Path) -> None:
    with (root / "x.jpg").open("wb") as writer:
        writer.write(b"abc")
        writer.flush()
        ear.hears(file("x.jpg", prompt=False))
        assert file("x.jpg") not in ear.hints
    ear.hears(file("x.jpg"))
    assert ear.calm() == [file("x.jpg", prompt=False), file("x.jpg")]


def test_delete_link_and_replace(ear: Ear, root: Path) -> None:
    (root / "new").write_bytes(b"abc")
    (root / "new").replace(root / "x.jpg")
    ear.hears(file("new"), file("x.jpg"))
    ear.hints.clear()
    os.link(root / "x.jpg", root / "y.jpg")
    (root / "l.jpg").symlink_to("x.jpg")
    ear.hears(file("y.jpg", prompt=False), file("l.jpg", prompt=False))
    ear.hints.clear()
    (root / "x.jpg").unlink()
    ear.hears(file("x.jpg", prompt=False))
    assert ear.calm() == [file("x.jpg", prompt=False)]


def test_moved_in_within_and_out(ear: Ear, root: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").touch()
    (tmp_path / "x.jpg").rename(root / "x.jpg")
    ear.hears(file("x.jpg"))
    (root / "a").mkdir()
    ear.hears(branch("a"))
    ear.hints.clear()
    (root / "x.jpg").rename(root / "a/y.jpg")
    ear.hears(file("x.jpg"), file("a/y.jpg"))
    ear.hints.clear()
    (root / "a/y.jpg").rename(tmp_path / "z.jpg")
    (root / "next.jpg").touch()
    ear.hears(file("a/y.jpg"), file("next.jpg"))


def test_trees_moved_in_renamed_and_out(ear: Ear, root: Path, tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a").rename(root / "a")
    ear.hears(branch("a"))
    (root / "a/b/c/x.jpg").touch()
    ear.hears(file("a/b/c/x.jpg"))
    (root / "a").rename(root / "z")
    ear.hears(branch("a"), branch("z"))
    (root / "z/b/c/y.jpg").touch()
    ear.hears(file("z/b/c/y.jpg"))
    (root / "z").rename(tmp_path / "out")
    ear.calm()
    ear.hints.clear()
    (tmp_path / "out/b/c/unseen.jpg").touch()
    assert ear.calm() == []
    shutil.copytree(tmp_path / "out", root / "z")
    (root / "z/b/c/again.jpg").touch()
    ear.hears_of("z/b/c/unseen.jpg", "z/b/c/again.jpg")


def test_a_tree_deleted_and_made_again(ear: Ear, root: Path) -> None:
    for _ in range(20):
        (root / "a/b").mkdir(parents=True)
        (root / "a/b/x.jpg").touch()
        shutil.rmtree(root / "a")
    (root / "a/b").mkdir(parents=True)
    ear.calm()
    ear.hints.clear()
    (root / "a/b/last.jpg").touch()
    ear.hears(file("a/b/last.jpg"))


def test_folders_swapped_again_and_again(ear: Ear, root: Path) -> None:
    for name in ("a", "b"):
        (root / name / "in").mkdir(parents=True)
    for _ in range(50):
        (root / "a").rename(root / "t")
        (root / "b").rename(root / "a")
        (root / "t").rename(root / "b")
    ear.calm()
    for name in ("a", "b"):
        ear.hints.clear()
        (root / name / "in/x.jpg").touch()
        ear.hears(file(f"{name}/in/x.jpg"))
        assert {hint.path for hint in ear.calm()} == {f"{name}/in/x.jpg"}


def test_nothing_in_folders_made_in_a_hurry_is_missed(ear: Ear, root: Path) -> None:
    paths = [f"a{n}/b/c/f.jpg" for n in range(300)]
    for path in paths:
        (root / path).parent.mkdir(parents=True)
        (root / path).touch()
    ear.hears_of(*paths)


def test_hidden_and_linked_folders_are_not_watched(ear: Ear, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / ".git/objects").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "outside")
    (root / ".git/objects/x.jpg").touch()
    (tmp_path / "outside/x.jpg").touch()
    (root / ".hidden.jpg").touch()
    (root / ".syncdignore").touch()
    ear.hears(file(".syncdignore"))
    assert {hint.path for hint in ear.calm()} == {"link", ".syncdignore"}


def test_what_was_there_before_is_watched(root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/.git/objects").mkdir(parents=True)
    ear = Ear(root)
    ear.watcher.start()
    try:
        (root / "a/.git/objects/x.jpg").touch()
        (root / "a/b/x.jpg").touch()
        ear.hears(file("a/b/x.jpg"))
        assert {hint.path for hint in ear.calm()} == {"a/b/x.jpg"}
    finally:
        ear.watcher.stop()
    ear.hints.clear()
    (root / "a/b/y.jpg").touch()
    time.sleep(0.02)
    assert ear.hints == []


def test_names_of_every_kind(ear: Ear, root: Path) -> None:
    names = ["new\nline.jpg", "\U0001f431.jpg", "e\u0301.jpg", "n" * 251 + ".jpg", "\u732b" * 85]
    for name in names:
        (root / name).touch()
    ear.hears(*(file(name) for name in names))


def test_a_name_that_is_not_text_is_for_a_scan_to_report(ear: Ear, root: Path) -> None:
    bad = root / os.fsdecode(b"bad\xe9.jpg")
    for _ in range(3):
        bad.touch()
    bad_folder = root / os.fsdecode(b"d\xff")
    bad_folder.mkdir()
    (bad_folder / "x.jpg").touch()
    assert ear.calm() == []
    assert ear.doubts == [
        "bad\\xe9.jpg: a name that is not UTF-8",
        "d\\xff: a name that is not UTF-8",
    ]
