"""Bodies in packs and files: durable first, recorded then, readable whatever happens beside."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from hashlib import sha256

import pytest
import sqlalchemy as sa

from syncd.errors import NotFoundError
from syncd.hub import blobs as blobs_module
from syncd.hub.blobs import LocalBlobs, Place
from tests.hub.asking import opened, packed, put


@pytest.fixture
def blobs(tmp_path):
    with closing(LocalBlobs(tmp_path / "store")) as made:
        yield made


def read(blobs, place, size):
    fd = blobs.open(place)
    try:
        return os.pread(fd, size, place.offset)
    finally:
        os.close(fd)


def test_bodies_lie_back_to_back_and_packs_go_on_after_a_restart(tmp_path):
    with closing(LocalBlobs(tmp_path / "store")) as blobs:
        first, second = blobs.append([b"one", b"second"])
    assert (first, second) == (Place("packs/00000001", 0), Place("packs/00000001", 3))
    with closing(LocalBlobs(tmp_path / "store")) as blobs:
        (third,) = blobs.append([b"third"])
        assert third == Place("packs/00000001", 9)
        assert [read(blobs, p, 6) for p in (second, third)] == [b"second", b"third"]


def test_a_full_pack_is_followed_by_another(blobs, monkeypatch):
    monkeypatch.setattr(blobs_module, "PACK_BYTES", 10)
    names = [blobs.append([b"123456"])[0].name for _ in range(5)]
    assert names == ["packs/00000001"] * 2 + ["packs/00000002"] * 2 + ["packs/00000003"]


@pytest.mark.parametrize("restarted", [False, True], ids=["written", "found"])
def test_the_number_of_a_pack_that_was_dropped_is_not_used_again(tmp_path, restarted):
    """Whoever looked up a place in it, and did not open it yet, would read foreign bytes."""
    with closing(LocalBlobs(tmp_path / "store")) as first:
        (old,) = first.append([b"old"])
        if not restarted:
            first.drop(old.name)
            assert first.append([b"new"]) == [Place("packs/00000002", 0)]
    if restarted:
        with closing(LocalBlobs(tmp_path / "store")) as second:
            second.drop(old.name)
            assert second.append([b"new"]) == [Place("packs/00000002", 0)]


def test_a_failed_write_gives_its_room_back_and_the_pack_is_left(blobs, monkeypatch):
    (first,) = blobs.append([b"kept"])

    def fail(fd):
        raise OSError(errno.EIO, "the disk said no")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="the disk said no"):
            blobs.append([b"lost" * 100])
    (after,) = blobs.append([b"after"])
    assert after == Place("packs/00000002", 0), "pages that once failed are not trusted again"
    assert dict(blobs.names()) == {"packs/00000001": 4, "packs/00000002": 5}
    assert read(blobs, first, 4) == b"kept"


def test_bytes_are_durable_before_the_rows_that_name_them(tmp_path, monkeypatch):
    """Killing a process loses no page, so the order of syncs is held here."""
    steps: list[str] = []
    real = {name: getattr(os, name) for name in ("pwritev", "fdatasync", "fsync")}
    with opened(tmp_path / "data") as store:
        pets = store.make_dataset("pets")[0].id
        engine = store.catalogue._engine
        sa.event.listen(engine, "commit", lambda _: steps.append("commit"))
        for name, call in real.items():

            def step(*args, name=name, call=call):
                steps.append(name)
                return call(*args)

            monkeypatch.setattr(os, name, step)
        store.batch(pets, "me", packed([put("a", b"cat"), put("b", b"dog")]))
        assert steps == ["fsync", "pwritev", "fdatasync", "commit"], "the new pack's name, too"
        steps.clear()
        store.batch(pets, "me", packed([put("c", b"cat2")]))
        assert steps == ["pwritev", "fdatasync", "commit"]
        steps.clear()
        file = tmp_path / "upload"
        file.write_bytes(b"long")
        store.adopt(file, sha256(b"long").digest(), 4)
        assert steps == ["fsync", "fsync", "commit"]
        with store.catalogue.read() as tx:
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
            assert tx.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_place_that_moved_between_look_up_and_opening_is_looked_up_again(tmp_path, monkeypatch):
    with opened(tmp_path / "data") as store:
        pets = store.make_dataset("pets")[0].id
        (result,) = store.batch(pets, "me", packed([put("a", b"cat")]))
        real = store.blobs.open
        asked: list[Place] = []

        def moved(place):
            asked.append(place)
            if len(asked) == 1:
                raise FileNotFoundError
            return real(place)

        monkeypatch.setattr(store.blobs, "open", moved)
        fd, offset, size = store.open(result.item.digest)
        assert os.pread(fd, size, offset) == b"cat"
        os.close(fd)
        assert len(asked) == 2
        with pytest.raises(NotFoundError):
            store.open(bytes(32))
