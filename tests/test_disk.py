"""Bytes arrive whole, however little the system takes at a time."""

from __future__ import annotations

import os

import pytest

from syncd.disk import IOV_MAX, Piece, sync, write_each


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file"


@pytest.fixture
def fd(file):
    opened = os.open(file, os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("most", [1, 3, 5, 100])
def test_what_the_system_takes_in_parts_is_written_whole(file, fd, monkeypatch, most):
    pieces: list[Piece] = [b"ab", memoryview(b"cdefg"), b"", b"h", b"ij", b""]
    real = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, some, at: real(fd, [b"".join(some)[:most]], at))
    write_each(fd, pieces, 0)
    write_each(fd, pieces[:2], 12)
    assert file.read_bytes() == b"abcdefghij" + bytes(2) + b"abcdefg"


@pytest.mark.parametrize("most", [700, 2**20])
def test_more_pieces_than_the_system_takes_at_once(file, fd, monkeypatch, most):
    pieces = [b"%d," % number for number in range(2 * IOV_MAX + 7)]
    real, asked = os.pwritev, []

    def some_of(fd, some, at):
        asked.append(len(some))
        return real(fd, [b"".join(some)[:most]], at)

    monkeypatch.setattr(os, "pwritev", some_of)
    write_each(fd, pieces, 5)
    assert file.read_bytes() == bytes(5) + b"".join(pieces)
    assert max(asked) <= IOV_MAX


def test_nothing_to_write_is_no_write(file, fd):
    write_each(fd, [], 3)
    write_each(fd, [b"", b""], 3)
    assert file.read_bytes() == b""


def test_files_and_folders_are_synced(file, fd, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    for path in (file, file.parent):
        sync(path)
    assert synced == [str(file), str(file.parent)]
