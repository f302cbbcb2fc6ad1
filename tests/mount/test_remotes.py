"""Remotes that are no hubs, mounted for real: the least there can be, with digests, bulk reads or
a change feed of its own. Changes show within the staleness that was set."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mount.folders import KINDS
from tests.mount.mounted import Mounted, content, serve, until, whole

STALE_S = 1.0
ROOM_S = 6.0
"""What a busy machine may take beyond the staleness, the second included for which the kernel
believes that a name is not there. The staleness that nobody set is ten times as long."""
FILES = {f"a/{n}.jpg": content(n, 3000) for n in range(20)} | {"big.tiff": content(99, 3_000_000)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The remote: a folder with a dataset."""
    for key, data in FILES.items():
        place(tmp_path / "remote/signs" / key, data)
    return tmp_path / "remote"


def place(file: Path, data: bytes) -> None:
    """Put a file there at once, also in another's place."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name("new")
    new.write_bytes(data)
    new.rename(file)


@pytest.fixture
def serving(fuse: None, tmp_path: Path) -> Iterator[Callable[..., Mounted]]:
    """`serving("least", root, "signs")`: mount; whatever is left is taken away."""
    begun: list[Mounted] = []

    def begin(kind: str, root: Path, *dataset: str) -> Mounted:
        point = tmp_path / "mnt"
        words = ["-m", "tests.mount.folders", kind, str(root), "mount", *dataset, str(point)]
        words += ["--foreground", "--staleness", str(STALE_S)]
        begun.append(serve(words, tmp_path / "home", point, {}))
        return begun[-1]

    yield begin
    for mounted in begun:
        mounted.clear()


def all_of(folder: Path) -> dict[str, bytes]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_shows_in_time_and_holders_keep_what_they_opened(kind, root, serving):
    mounted = serving(kind, root, "signs")
    assert all_of(mounted.point) == FILES
    held = os.open(mounted / "a/1.jpg", os.O_RDONLY)
    moved = os.open(mounted / "a/5.jpg", os.O_RDONLY)
    try:
        began = time.monotonic()
        replaced = content(500, 3000)  # of the same size
        place(root / "signs/a/1.jpg", replaced)
        place(root / "signs/new/x.jpg", b"new")
        (root / "signs/a/2.jpg").unlink()
        (root / "signs/a/5.jpg").rename(root / "signs/five.jpg")
        until(lambda: (mounted / "five.jpg").exists() and whole(mounted / "a/1.jpg") == replaced)
        until(lambda: (mounted / "new/x.jpg").exists() and not (mounted / "a/2.jpg").exists())
        assert time.monotonic() - began < STALE_S + ROOM_S
        wanted = FILES | {"a/1.jpg": replaced, "new/x.jpg": b"new", "five.jpg": FILES["a/5.jpg"]}
        del wanted["a/2.jpg"], wanted["a/5.jpg"]
        until(lambda: not (mounted / "a/5.jpg").exists())
        assert all_of(mounted.point) == wanted
        assert whole(held) == FILES["a/1.jpg"]
        assert whole(moved) == FILES["a/5.jpg"]
    finally:
        os.close(held)
        os.close(moved)
    said = subprocess.run(
        ["diff", "-r", str(root / "signs"), str(mounted.point)], capture_output=True, check=False
    )
    assert said.returncode == 0, said
    mounted.stop()


@pytest.mark.parametrize("kind", ["least", "feed"])
def test_a_remote_that_is_away_makes_nothing_look_gone(kind, root, serving, tmp_path):
    mounted = serving(kind, root, "signs")
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    root.rename(tmp_path / "away")
    time.sleep(2 * STALE_S)
    assert len(os.listdir(mounted / "a")) == 20
    with pytest.raises(OSError, match="Input/output error"):
        whole(mounted / "big.tiff")
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    mounted.stop()
    mounted = serving(kind, root, "signs")
    assert "the remote is away" in mounted.log
    assert len(os.listdir(mounted / "a")) == 20
    assert whole(mounted / "a/1.jpg") == FILES["a/1.jpg"]
    place(tmp_path / "away/signs/b.jpg", b"b")
    (tmp_path / "away").rename(root)
    until(lambda: (mounted / "b.jpg").exists())
    until(lambda: readable(mounted / "big.tiff"))
    assert all_of(mounted.point) == FILES | {"b.jpg": b"b"}
    mounted.stop()


def readable(file: Path) -> bool:
    try:
        return bool(whole(file))
    except OSError:
        return False


def test_all_datasets_of_it_and_those_to_come(root, serving):
    mounted = serving("least", root, "--all")
    assert os.listdir(mounted.point) == ["signs"]
    shutil.copytree(root / "signs/a", root / "more/b")
    until(lambda: (mounted / "more/b/3.jpg").exists())
    assert all_of(mounted / "more") == {
        key.replace("a/", "b/"): FILES[key] for key in FILES if "/" in key
    }
    mounted.stop()
