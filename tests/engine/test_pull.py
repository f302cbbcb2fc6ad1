"""Whole datasets into folders, single items, and whether it is all there: pull, get, verify."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.engine.opening import Target
from syncd.engine.options import Options
from syncd.engine.pull import PARTIAL, get, pull
from syncd.engine.verify import against_folder, bytes_of
from syncd.errors import ConflictError, DeniedError, GarbledError, NotFoundError, TransientError
from syncd.model import Layout
from syncd.remotes.memory import Fault, MemoryRemote, PlainDataset


@pytest.fixture
def remote():
    return MemoryRemote()


@pytest.fixture
def pets(remote):
    """A dataset with a few items, two of them alike."""
    dataset = remote.open("pets", create=True)
    for key, content in {
        "1.jpg": b"one", "a/2.jpg": b"two", "a/alike.jpg": b"two", "a/b/3.jpg": b"x" * 100_000,
    }.items():  # fmt: skip
        dataset.shelf.store(key, content, modified_ns=1_600_000_000_123_456_789)
    return remote.open("pets", create=False)


def found(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def stored(dataset):
    return {item.key: dataset.shelf.content(item.key) for item in dataset.shelf.present()}


def test_the_whole_dataset_and_nothing_on_a_second_run(pets, tmp_path):
    report = pull(pets, tmp_path / "new")
    assert found(tmp_path / "new") == stored(pets)
    assert (report.attempted, report.uploaded, report.success) == (4, 4, True)
    assert report.bytes == 100_009
    report = pull(pets, tmp_path / "new")
    assert (report.uploaded, report.skipped, report.bytes) == (0, 4, 0)


def test_times_come_along(pets, tmp_path):
    pull(pets, tmp_path)
    assert (tmp_path / "1.jpg").stat().st_mtime_ns == 1_600_000_000_123_456_789


def test_many_files_of_the_same_content_in_one_folder(pets, tmp_path):
    for n in range(100):
        pets.shelf.store(f"same/{n:03}.jpg", b"the same" * 1000)
    report = pull(pets, tmp_path)
    assert report.failed == ()
    assert found(tmp_path) == stored(pets)


def test_something_else_is_never_overwritten(pets, tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"mine")
    (tmp_path / "a").write_bytes(b"no folder")
    report = pull(pets, tmp_path)
    assert (tmp_path / "1.jpg").read_bytes() == b"mine"
    assert (tmp_path / "a").read_bytes() == b"no folder"
    assert {failure.path for failure in report.failed} == set(stored(pets))


def test_what_was_begun_is_continued(pets, tmp_path):
    part_of(pets, tmp_path, "a/b/3.jpg").write_bytes(b"x" * 60_000)
    offsets = count_offsets(pets)
    report = pull(pets, tmp_path)
    assert report.bytes == 40_000
    assert offsets == [60_000]
    assert found(tmp_path) == stored(pets)


def test_a_wrong_beginning_is_thrown_away(pets, tmp_path):
    part = part_of(pets, tmp_path, "a/b/3.jpg")
    part.write_bytes(b"y" * 60_000)
    report = pull(pets, tmp_path)
    assert report.success
    assert found(tmp_path) == stored(pets)


def count_offsets(dataset):
    offsets = []
    read = dataset.read

    def counting(item, offset=0, length=None):
        offsets.append(offset)
        return read(item, offset, length)

    dataset.read = counting
    return offsets


def part_of(dataset, folder, key):
    """Where a download of this item goes until it is whole."""

    def cut(item, offset=0, length=None):
        if item.key == key:
            raise GarbledError("cut")
        return iter([dataset.shelf.content(item.key)])

    read, dataset.read = dataset.read, cut
    try:
        pull(dataset, folder)
    finally:
        dataset.read = read
    return next((folder / key).parent.glob(f"{PARTIAL}*"))


def test_bytes_that_are_not_those_of_the_digest(pets, tmp_path):
    spoil(pets, "1.jpg", b"rotten")
    report = pull(pets, tmp_path)
    assert [failure.path for failure in report.failed] == ["1.jpg"]
    assert not (tmp_path / "1.jpg").exists()


def test_a_damaged_item_is_not_a_remote_that_is_away(pets, tmp_path, capfdbinary):
    """Status 1, as of the commands for whole datasets: a call again would change nothing."""
    spoil(pets, "1.jpg", b"rotten")
    for output in (tmp_path / "1.jpg", Path("-")):
        with pytest.raises(GarbledError, match="not what the remote's digest says") as told:
            get(pets, "1.jpg", output)
        assert told.value.exit_code == 1


def spoil(dataset, key, content):
    shelf = dataset.shelf
    id = shelf.at[key]
    shelf.entries[id] = shelf.entries[id].__class__(shelf.entries[id].item, content, 1)


@pytest.mark.parametrize("key", ["../out.jpg", "/abs.jpg", "a/../../out.jpg", "a//b.jpg", "..", ""])
def test_keys_that_lead_elsewhere(pets, tmp_path, key):
    pets.shelf.store(key, b"evil")
    report = pull(pets, tmp_path / "in")
    assert [failure.path for failure in report.failed] == [key]
    assert not (tmp_path / "out.jpg").exists()


def test_a_link_on_the_way_out(pets, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").symlink_to(tmp_path)
    report = pull(pets, tmp_path / "in")
    assert not (tmp_path / "2.jpg").exists()
    assert len(report.failed) == 3


def test_a_remote_that_goes_away_ends_it(pets, tmp_path, remote):
    for n in range(300):
        pets.shelf.store(f"many/{n}.jpg", b"%d" % n)
    remote.trouble = lambda request: Fault.UNREACHABLE if request.call == "read" else None
    report = pull(pets, tmp_path)
    assert report.attempted == 64
    assert report.away
    assert not report.success


def test_one_item(pets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert get(pets, "a/2.jpg", None).read_bytes() == b"two"
    assert get(pets, "a/2.jpg", tmp_path / "named").read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    assert get(pets, "a/2.jpg", tmp_path / "folder") == tmp_path / "folder/2.jpg"
    with pytest.raises(NotFoundError):
        get(pets, "a/none.jpg", None)
    (tmp_path / "named").write_bytes(b"mine")
    with pytest.raises(ConflictError):
        get(pets, "a/2.jpg", tmp_path / "named")


def test_one_item_of_a_remote_that_only_lists(tmp_path):
    remote = MemoryRemote(kind=PlainDataset)
    remote.open("pets", create=True).shelf.store("a/1.jpg", b"one")
    assert get(remote.open("pets", create=False), "a/1.jpg", tmp_path / "x").read_bytes() == b"one"


# --- verify ---------------------------------------------------------------------------------------


def test_bytes_as_announced(pets):
    verdict = bytes_of(pets)
    assert (verdict.checked, verdict.bytes, verdict.wrong) == (4, 100_009, ())


def test_a_byte_that_is_wrong_and_one_that_is_missing(pets):
    spoil(pets, "1.jpg", b"rotten")
    spoil(pets, "a/2.jpg", b"tw")
    assert {key for key, _ in bytes_of(pets).wrong} == {"1.jpg", "a/2.jpg"}


def test_a_folder_against_the_dataset(make_world):
    world = make_world(layout=Layout.FLAT)
    world.disk.write("a/1.jpg", b"first")
    world.disk.write("b/1.jpg", b"second")
    world.disk.write("b/2.jpg", b"third")
    world.settle()
    world.mirror.state.commit()
    dataset = world.mirror.dataset
    mirrors = world.folder / "mirrors"
    mirrors.mkdir()
    os.symlink(world.folder / "state", world.target.folder(mirrors))
    assert against_folder(dataset, world.target, mirrors).wrong == ()
    world.shelf.store("2.jpg", b"changed")
    world.shelf.vanish("1.jpg")
    wrong = dict(against_folder(dataset, world.target, mirrors).wrong)
    assert wrong == {"b/2.jpg": "other content at the remote", "a/1.jpg": "not at the remote"}


def test_a_folder_that_was_never_mirrored(pets, tree, tmp_path):
    root = tree({"1.jpg": "one", "a/2.jpg": "two", "5.jpg": "five"})
    target = Target(root=root, remote="memory", dataset="pets", options=Options())
    verdict = against_folder(pets, target, tmp_path / "mirrors")
    assert verdict.checked == 3
    assert verdict.wrong == (("5.jpg", "not at the remote"),)


@pytest.mark.parametrize("error", [DeniedError("no"), TransientError("away")], ids=type)
def test_a_remote_that_is_away_or_refuses_says_nothing_of_its_items(pets, error, monkeypatch):
    def refuse(*_):
        raise error

    monkeypatch.setattr(pets, "read", refuse)
    with pytest.raises(type(error)):
        bytes_of(pets)


def test_a_refusal_ends_a_pull(pets, tmp_path, monkeypatch):
    def refuse(*_):
        raise DeniedError("no")

    monkeypatch.setattr(pets, "read", refuse)
    with pytest.raises(DeniedError):
        pull(pets, tmp_path / "new")
