"""A root that is missing, emptied, replaced, mounted over or not to be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import UnreadableError
from syncd.local.ignore import Filter
from syncd.local.root import MARKER, RootIdentity, claim, identify, trouble
from syncd.local.scan import walk
from tests.local.rights import as_nobody, mount_at


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def claimed(root: Path) -> RootIdentity:
    return replace(identify(root), marker=claim(root, uuid.uuid4().hex))


def test_the_same_folder_is_no_trouble(root: Path) -> None:
    known = claimed(root)
    assert known.marker
    assert trouble(root, known) is None
    assert identify(root) == known
    assert MARKER in {path.name for path in root.iterdir()}
    assert [path.name for path in root.iterdir()] == [MARKER]
    (listing,) = walk(root, Filter(extensions=frozenset()))
    assert listing.files == {}


def test_the_marker_explains_itself(root: Path) -> None:
    word = claim(root, "11111111-2222-3333-4444-555555555555")
    lines = (root / MARKER).read_text().splitlines()
    assert lines[0] == word == "11111111-2222-3333-4444-555555555555"
    assert "syncd" in lines[1]


def test_a_marker_that_is_there_is_kept(root: Path) -> None:
    first, second = claim(root, "first-marker"), claim(root, "second-marker")
    assert first == second == "first-marker"


@pytest.mark.parametrize("damage", [b"", b"\n", b"\xff\xfe\0", b"short\n", b"x" * 5000])
def test_a_damaged_marker_is_written_anew(root: Path, damage: bytes) -> None:
    (root / MARKER).write_bytes(damage)
    assert identify(root).marker == ""
    assert claim(root, "a-new-marker") == "a-new-marker"
    assert identify(root).marker == "a-new-marker"


def test_racing_claims_agree(root: Path) -> None:
    words: list[str] = []
    barrier = threading.Barrier(8)

    def one(number: int) -> None:
        barrier.wait()
        words.append(claim(root, f"marker-number-{number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(words) == {identify(root).marker}
    assert len(words) == 8


def test_without_hard_links_a_marker_is_placed_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    assert claim(root, "on-a-fat-disk") == "on-a-fat-disk"


@pytest.mark.parametrize("with_marker", [True, False])
def test_a_missing_root(root: Path, with_marker: bool) -> None:
    known = claimed(root) if with_marker else identify(root)
    shutil.rmtree(root)
    assert trouble(root, known) == "the folder is missing"
    root.touch()
    assert trouble(root, known) == "is not a folder any more"
    with pytest.raises(UnreadableError, match="is not a folder any more"):
        identify(root)


def test_a_folder_made_anew_is_another_even_with_the_old_inode(root: Path) -> None:
    known = claimed(root)
    shutil.rmtree(root)
    root.mkdir()
    assert "marker .syncd-root is missing" in (trouble(root, known) or "")
    assert "marker .syncd-root is missing" in (
        trouble(root, replace(identify(root), marker=known.marker)) or ""
    )
    claim(root, "somebody-elses")
    assert "is another one" in (trouble(root, known) or "")


def test_the_marker_decides_where_there_is_one(root: Path) -> None:
    """A reboot may give the device another number; a restored folder has another inode."""
    known = claimed(root)
    assert trouble(root, replace(known, fsid=known.fsid + 1, inode=known.inode + 1)) is None


def test_without_a_marker_file_system_and_inode_decide(root: Path) -> None:
    known = identify(root)
    assert trouble(root, known) is None
    assert trouble(root, replace(known, fsid=known.fsid + 1))
    assert trouble(root, replace(known, inode=known.inode + 1))


def test_a_root_that_cannot_be_written_gets_no_marker(public: Path) -> None:
    public.chmod(0o555)
    with as_nobody():
        assert claim(public, "some-marker") == ""
        assert trouble(public, identify(public)) is None
    assert [*public.iterdir()] == []


def test_a_marker_that_is_no_file_is_none(root: Path) -> None:
    (root / "other").write_text("a-word-like-a-marker\n")
    (root / MARKER).symlink_to("other")
    assert identify(root).marker == ""
    (root / MARKER).unlink()
    os.mkfifo(root / MARKER)
    assert identify(root).marker == ""


@pytest.mark.parametrize("with_marker", [True, False])
def test_an_unmounted_disk_is_trouble(disk: Path, with_marker: bool) -> None:
    known = claimed(disk) if with_marker else identify(disk)
    assert trouble(disk, known) is None
    subprocess.run(["umount", disk], check=True)
    assert "another disk" in (trouble(disk, known) or "")
    mount_at(disk)
    assert "another disk" in (trouble(disk, known) or "")
