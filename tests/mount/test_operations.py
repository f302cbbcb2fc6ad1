"""What goes wrong within an answer to the kernel, without a kernel."""

from __future__ import annotations

import errno

import pytest

from syncd.errors import DeniedError, MissingError, TransientError
from syncd.model import Item
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.point import lacking
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.memory import MemoryRemote
from syncd.remotes.shelf import Shelf

if lacking():
    pytest.skip(str(lacking()), allow_module_level=True)

from syncd.mount.operations import Branch, Look, Operations, Session, path_of


class Broken:
    """A reader that answers with what it is told to."""

    def __init__(self) -> None:
        self.answer: bytes | BaseException = b""

    def read(self, item: Item, offset: int, size: int) -> bytes:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def broken(tmp_path):
    remote = MemoryRemote()
    shelf = remote.shelves["signs"] = Shelf("signs")
    shelf.store("a.jpg", b"12345")
    tree = Tree(Index(tmp_path / "index.db", "test"))
    turner = Turner(tree)
    follower = Follower(tree, remote.open("signs", create=False), turner, Silent())
    follower.fill()
    operations = Operations(Look(uid=0, gid=0))
    reader = Broken()
    operations.add("", Branch(tree=tree, reads=reader))
    yield operations, reader
    tree.index.close()


class Silent:
    patience_s = 0.0

    def of(self, items):
        return {}


def asked(operations):
    def read():
        return len(operations.content("/a.jpg", 0, 100))

    return Session._wrapper(read)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        (TransientError("away"), errno.EIO),
        (MissingError("gone"), errno.EIO),
        (DeniedError("no"), errno.EACCES),
        (b"1234", errno.EIO),
        (b"123456", errno.EIO),
        (OSError(errno.ENOSPC, "full"), errno.EIO),
        (OSError(errno.EINVAL, "of the cache"), errno.EIO),
        (OSError(errno.ENOENT, "of the cache"), errno.EIO),
    ],
)
def test_what_the_remote_does_is_never_a_look_of_emptiness(broken, allow_log, answer, number):
    operations, reader = broken
    reader.answer = answer
    allow_log("not answered|short read|cache not read path=/a.jpg")
    assert asked(operations) == -number
    reader.answer = b"12345"
    assert asked(operations) == 5
    assert not operations.reading


@pytest.mark.parametrize("fault", [ZeroDivisionError("oh"), OSError("no number"), SystemExit(1)])
def test_a_fault_of_ours_is_eio_with_a_traceback(broken, expect_log, caplog, fault):
    operations, reader = broken
    reader.answer = fault
    expect_log("unexpected fault asked=read")
    assert asked(operations) == -errno.EIO
    assert type(fault).__name__ in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("path", ["/b", "/a.jpg/b", "/.syncd-old/1", "/.syncd-old/x"])
def test_what_is_not_there_is_not_there(broken, path):
    operations, _ = broken
    with pytest.raises(OSError) as failed:  # noqa: PT011 - the number is looked at
        operations.attributes(path)
    assert failed.value.errno in (errno.ENOENT, errno.ENOTDIR)


def test_a_path_that_is_not_utf8_is_not_there():
    assert path_of("/ä".encode()) == "/ä"
    with pytest.raises(FileNotFoundError):
        path_of(b"/\xff")
