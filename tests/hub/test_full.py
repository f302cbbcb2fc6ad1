"""A disk that fills up: uploads end with a sentence, everything stored stays, room helps."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import suppress

import pytest

from syncd.errors import StateError
from syncd.hub.store import GIB, FullError, Store
from tests.hub.asking import asking, digest, opened, packed, put

MIB = 1024 * 1024


def test_below_the_low_water_mark_uploads_are_refused_and_the_rest_goes_on(start_hub):
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        item = pets.stored("a", b"cat")
    hub.stop()
    full = hub.again("--min-free", str(2**60))
    try:
        with asking(full) as pets:
            answer = pets.http.post(f"{pets.base}/batch", content=packed([put("b", b"dog")]))
            assert answer.status_code == 507
            assert "nearly full" in answer.json()["error"]
            told = {"digest": digest(b"x" * MIB), "size": MIB}
            assert pets.http.post("/v1/uploads", json=told).status_code == 507
            assert pets.content(item).content == b"cat"
            (trashed,) = pets.batch({"op": "trash", "id": item["id"]})
            assert trashed["status"] == "stored"
            assert pets.post("trash/empty")["purged"] == 1
    finally:
        full.stop()


@pytest.mark.parametrize(
    ("disk", "kept"),
    [(4 << 40, GIB), (50 * GIB, GIB), (50 * GIB - 50, GIB - 1), (10 * GIB, GIB // 5)],
)
def test_a_gibibyte_or_a_fiftieth_of_the_disk_stays_free_unasked(tmp_path, monkeypatch, disk, kept):
    with opened(tmp_path / "data", min_free=None) as store:
        told = os.statvfs(tmp_path)
        free = kept + 1000

        def statvfs(path):
            assert path == store.root
            return os.statvfs_result((1, 1, disk, free, free, *tuple(told)[5:]))

        with monkeypatch.context() as patched:
            patched.setattr(os, "statvfs", statvfs)
            store.check_room(1000)
            why = f"1001 bytes are wanted, {free} bytes are free and {kept} must stay free"
            with pytest.raises(FullError, match=why):
                store.check_room(1001)


@pytest.mark.parametrize("call", ["pwritev", "fdatasync"])
def test_a_disk_that_fills_within_a_batch_leaves_nothing_of_it(tmp_path, monkeypatch, call):
    with opened(tmp_path / "data") as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put("a", b"cat")]))
        before = sum(size for _, size in store.blobs.names())

        def fail(*args):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, call, fail)
            with pytest.raises(FullError):
                store.batch(pets, "me", packed([put("b", b"dog" * 1000)]))
        assert sum(size for _, size in store.blobs.names()) == before
        assert [row.name for row in store.catalogue.page(pets).rows] == ["a"]
        (again,) = store.batch(pets, "me", packed([put("b", b"dog" * 1000)]))
        assert again.status == "stored"


def small_disk(folder):
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    small_disk(tmp_path / "disk")
    yield tmp_path / "disk"
    subprocess.run(["umount", str(tmp_path / "disk")], check=True)


def fill(store: Store, pets: str) -> dict[str, bytes]:
    """Store until the disk is full; what was confirmed."""
    stored: dict[str, bytes] = {}
    for number in range(1000):
        some = {f"{number}/{n}": os.urandom(20_000) for n in range(10)}
        try:
            results = store.batch(pets, "me", packed([put(k, b) for k, b in some.items()]))
        except FullError:
            return stored
        assert {result.status for result in results} == {"stored"}
        stored |= some
    raise AssertionError("a disk of 12 MiB took 200 MB")


@pytest.mark.parametrize("min_free", [0, MIB, None], ids=["no mark", "a mark", "the default"])
def test_a_really_full_disk_loses_nothing_and_recovers(disk, min_free):
    with opened(disk / "data", min_free=min_free) as store:
        pets = store.make_dataset("pets")[0].id
        stored = fill(store, pets)
        assert len(stored) > 100
    with opened(disk / "data", min_free=min_free) as store:
        rows = {f"{row.folder}/{row.name}": row for row in store.catalogue.page(pets).rows}
        assert rows.keys() == stored.keys()
        for key, row in rows.items():
            fd, offset, size = store.open(row.digest)
            assert os.pread(fd, size, offset) == stored[key]
            os.close(fd)
        with pytest.raises(FullError):
            store.check_room(12 * MIB)


@pytest.mark.parametrize("left", [0, 8192, 20480])
def test_a_hub_that_cannot_begin_on_a_full_disk_says_so_in_a_sentence(disk, left):
    data = disk / "data"
    with opened(data):
        pass
    (disk / "kept").write_bytes(bytes(left))
    with suppress(OSError), (disk / "rest").open("wb", buffering=0) as rest:
        while True:
            rest.write(bytes(4096))
    (disk / "kept").unlink()
    ended = hub_process("--data", str(data))
    assert ended.returncode == StateError.exit_code
    assert ended.stderr == f"syncd hub: the disk of {data} is full: make room\n"


def test_a_hub_that_cannot_begin_for_another_reason_names_it(tmp_path):
    with opened(tmp_path):
        pass
    (tmp_path / "stores/1/catalogue.db").write_bytes(b"no catalogue" * 1000)
    ended = hub_process("--data", str(tmp_path))
    assert ended.returncode == StateError.exit_code
    why = "the hub's data cannot be opened: file is not a database"
    assert ended.stderr == f"syncd hub: {tmp_path}: {why}\n"


def hub_process(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "syncd.hub", *options], capture_output=True, text=True, timeout=30
    )
