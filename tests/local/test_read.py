"""Reads files that others write, replace, cut, lock and remove at the same time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from syncd.errors import SyncdError, UnreadableError, UnsettledError, VanishedError
from syncd.local import read as module
from syncd.local.read import PIECE, Content, Inside, read
from tests.local.rights import as_nobody

KEEP = 64 * 1024


def whole(root: Path, path: str, *, keep: int = KEEP, settled: bool = False) -> Content:
    return read(root, path, keep=keep, settled=settled)


@pytest.mark.parametrize("size", [0, 1, KEEP - 1, KEEP, KEEP + 1, PIECE, 2 * PIECE + 17])
def test_bytes_digest_and_stat_are_of_one_state(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "a").mkdir()
    file = tmp_path / "a/x.jpg"
    file.write_bytes(data)
    content = whole(tmp_path, "a/x.jpg")
    assert content.digest == hashlib.sha256(data).hexdigest()
    assert content.data == (data if size <= KEEP else None)
    found = file.stat()
    assert content.stat == (found.st_size, found.st_mtime_ns, found.st_ino)


@pytest.mark.parametrize("size", [10, KEEP + 1])
def test_a_writer_is_noticed_at_once(tmp_path: Path, size: int) -> None:
    file = tmp_path / "x.jpg"
    with file.open("wb") as writer:
        writer.write(b"x" * size)
        writer.flush()
        with pytest.raises(UnsettledError, match="open for writing"):
            whole(tmp_path, "x.jpg")
        assert whole(tmp_path, "x.jpg", settled=True).stat[0] == size
    assert whole(tmp_path, "x.jpg").stat[0] == size


def test_nothing_is_read_while_a_writer_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(fd: int, count: int) -> bytes:
        raise AssertionError

    monkeypatch.setattr(os, "read", never)
    with (tmp_path / "x.jpg").open("wb"), pytest.raises(UnsettledError):
        whole(tmp_path, "x.jpg")


def test_a_writer_that_came_while_it_was_read_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has not written yet, so that the file is the same before and after."""
    (tmp_path / "x.jpg").write_bytes(b"abc")
    opened: list[int] = []
    real = os.read

    def reading(fd: int, count: int) -> bytes:
        opened.append(os.open(tmp_path / "x.jpg", os.O_WRONLY))
        return real(fd, count)

    monkeypatch.setattr(os, "read", reading)
    try:
        with pytest.raises(UnsettledError, match="open for writing"):
            whole(tmp_path, "x.jpg")
    finally:
        os.close(opened[0])


@pytest.mark.parametrize("pieces", [[b"ab", b"cd", b"e"], [b"abcdef"], [b"ab", b""], [b""]])
def test_the_bytes_are_as_many_as_the_file_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]
) -> None:
    (tmp_path / "x.jpg").write_bytes(b"abcde")
    rest = iter(pieces)
    monkeypatch.setattr(os, "read", lambda fd, count: next(rest))
    if sum(map(len, pieces)) == 5:
        assert whole(tmp_path, "x.jpg").data == b"abcde"
    else:
        with pytest.raises(UnsettledError, match="changed while it was read"):
            whole(tmp_path, "x.jpg")


def test_a_writer_that_only_maps_the_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x" * 4096)
    code = (
        "import mmap, sys; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close();"
        "m[0] = 1; print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "x.jpg"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(UnsettledError):
            whole(tmp_path, "x.jpg")
        writer.communicate()
    assert whole(tmp_path, "x.jpg").data is not None


def test_a_killed_writer_is_no_writer(tmp_path: Path) -> None:
    code = "import sys; f = open(sys.argv[1], 'wb', 0); f.write(b'ab'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "x.jpg"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(UnsettledError):
            whole(tmp_path, "x.jpg")
        writer.kill()
        writer.wait()
    assert whole(tmp_path, "x.jpg").data == b"ab"


def test_readers_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"abc")
    with (tmp_path / "x.jpg").open("rb"):
        assert whole(tmp_path, "x.jpg").data == b"abc"


def _changes(file: Path, how: str) -> None:
    if how == "grown":
        with file.open("ab") as writer:
            writer.write(b"more")
    elif how == "cut":
        os.truncate(file, 10)
    elif how == "overwritten":
        before = file.stat()
        with file.open("r+b") as writer:
            writer.write(b"other")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("how", ["grown", "cut", "overwritten"])
@pytest.mark.parametrize("keep", [0, 10 * PIECE])
def test_a_change_under_the_reader_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, keep: int, settled: bool
) -> None:
    """Cut, or written over with its old time put back: whatever happens between two reads."""
    file = tmp_path / "x.jpg"
    file.write_bytes(b"x" * (PIECE + 5))
    real_read, real_readv = os.read, os.readv

    def reading(fd: int, count: int) -> bytes:
        data = real_read(fd, count)
        _changes(file, how)
        return data

    def reading_piece(fd: int, buffers: list[memoryview]) -> int:
        got = real_readv(fd, buffers)
        _changes(file, how)
        how_often.append(1)
        return got if len(how_often) < 4 else 0

    how_often: list[int] = []
    monkeypatch.setattr(os, "read", reading)
    monkeypatch.setattr(os, "readv", reading_piece)
    with pytest.raises(UnsettledError, match="changed while it was read"):
        whole(tmp_path, "x.jpg", keep=keep, settled=settled)


def test_an_atomic_replacement_gives_one_or_the_other(tmp_path: Path) -> None:
    versions = {hashlib.sha256(bytes([n]) * 5000).hexdigest() for n in range(256)}
    file, stop = tmp_path / "x.jpg", threading.Event()
    file.write_bytes(b"\0" * 5000)

    def replacing() -> None:
        n = 0
        while not stop.is_set():
            n = (n + 1) % 256
            (tmp_path / "new").write_bytes(bytes([n]) * 5000)
            (tmp_path / "new").replace(file)

    thread = threading.Thread(target=replacing)
    thread.start()
    try:
        for _ in range(1000):
            try:
                assert whole(tmp_path, "x.jpg").digest in versions
            except UnsettledError:
                continue  # the link count, and with it the change time, changed under the reader
    finally:
        stop.set()
        thread.join()


def test_what_is_gone_has_vanished(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("x.jpg", "a/b/x.jpg", "file/x.jpg"):
        with pytest.raises(VanishedError, match=path):
            whole(tmp_path, path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for path in ("fifo.jpg", "folder.jpg"):
        with pytest.raises(VanishedError, match="no regular file"):
            whole(tmp_path, path)


def test_links_are_followed_only_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "root-beside").mkdir()
    for place in (root / "a", tmp_path / "out", tmp_path / "root-beside"):
        (place / "x.jpg").write_bytes(b"abc")
    (root / "in.jpg").symlink_to("a/x.jpg")
    (root / "out.jpg").symlink_to(tmp_path / "out/x.jpg")
    (root / "beside.jpg").symlink_to("../root-beside/x.jpg")
    (root / "folder").symlink_to("../out")
    (root / "loop.jpg").symlink_to("loop.jpg")
    assert whole(root, "in.jpg").data == b"abc"
    for path in ("out.jpg", "beside.jpg", "folder/x.jpg"):
        with pytest.raises(UnreadableError, match="leads out of the folder"):
            whole(root, path)
    with pytest.raises(UnreadableError, match="circle"):
        whole(root, "loop.jpg")


def test_a_root_reached_by_a_link_that_is_turned_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_text(name)
    link = tmp_path / "root"
    for name in ("one", "two"):
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        assert whole(link, "x.jpg").data == name.encode()


def test_no_rights(public: Path) -> None:
    (public / "x.jpg").write_bytes(b"abc")
    (public / "x.jpg").chmod(0)
    with as_nobody(), pytest.raises(UnreadableError, match=r"x\.jpg: no right to read it"):
        whole(public, "x.jpg")


def test_an_io_error_names_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.jpg").write_bytes(b"abc")

    def broken(fd: int, count: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(UnreadableError, match=r"x\.jpg: cannot be read: Input/output error"):
        whole(tmp_path, "x.jpg")


def test_a_time_that_a_later_write_could_share_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_clock_is_coarse", lambda: True)
    file = tmp_path / "x.jpg"
    file.write_bytes(b"abc")
    assert whole(tmp_path, "x.jpg").stat[1] == 0
    os.utime(file, (1e9, 1e9))
    assert whole(tmp_path, "x.jpg").stat[1] == 10**18


@pytest.mark.parametrize(
    ("release", "coarse"),
    [
        ("6.12.3-amd64", True),
        ("6.13-rc1", False),
        ("6.18.44-fc", False),
        ("5.15.0", True),
        ("odd", True),
    ],
)
def test_which_kernels_tell_two_writes_apart(
    monkeypatch: pytest.MonkeyPatch, release: str, coarse: bool
) -> None:
    class Name:
        def __init__(self) -> None:
            self.release = release

    monkeypatch.setattr(os, "uname", Name)
    module._clock_is_coarse.cache_clear()
    assert module._clock_is_coarse() is coarse
    monkeypatch.undo()
    module._clock_is_coarse.cache_clear()


def test_a_name_too_long_is_an_error_of_syncds_own(tmp_path: Path) -> None:
    with pytest.raises(SyncdError, match="File name too long"):
        whole(tmp_path, "n" * 300 + ".jpg")


def test_many_of_one_root_one_folder_after_the_other(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    for path in ("a/1.jpg", "a/2.jpg", "b/3.jpg"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    outside.mkdir()
    (outside / "secret.jpg").write_text("secret")
    (root / "out").symlink_to(outside)
    (root / "a/link.jpg").symlink_to("../b/3.jpg")
    (root / "a/secret.jpg").symlink_to(outside / "secret.jpg")
    (root / "in").symlink_to("b")
    descriptors = len(os.listdir("/proc/self/fd"))
    with Inside(root) as inside:

        def text(path: str) -> bytes | None:
            return inside.read(path, keep=100, settled=True).data

        for _ in range(2):
            assert text("a/1.jpg") == b"a/1.jpg"
            assert text("a/link.jpg") == b"b/3.jpg"
            assert text("in/3.jpg") == b"b/3.jpg"
            for path in ("a/secret.jpg", "out/secret.jpg", "../outside/secret.jpg"):
                with pytest.raises(UnreadableError, match="leads out of the folder"):
                    text(path)
            with pytest.raises(VanishedError):
                text("gone/1.jpg")
            assert text("a/2.jpg") == b"a/2.jpg"
    assert len(os.listdir("/proc/self/fd")) == descriptors
