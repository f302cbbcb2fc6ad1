"""The observer, its emitter, their queue and threads: what is passed on, and who notices an end."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
)
from watchdog.observers.api import BaseObserver, EventEmitter
from watchdog.observers.inotify_c import InotifyConstants as Kernel

from syncd.local.hint import Hint
from syncd.local.watch import Coverage, Watcher
from syncd.local.watch.event import event_of, hint_of
from syncd.local.watch.tree import Tree
from tests.local.ear import PATIENCE, Ear, branch, file
from tests.local.rights import as_nobody


def watching() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "watch" in thread.name}


MEANINGS = [
    (Kernel.IN_CREATE, FileCreatedEvent("a/b"), file("a/b", prompt=False)),
    (Kernel.IN_CLOSE_WRITE, FileClosedEvent("a/b"), file("a/b")),
    (Kernel.IN_MOVED_FROM, FileMovedEvent("a/b"), file("a/b")),
    (Kernel.IN_MOVED_TO, FileMovedEvent("", "a/b"), file("a/b")),
    (Kernel.IN_DELETE, FileDeletedEvent("a/b"), file("a/b", prompt=False)),
    (Kernel.IN_CREATE | Kernel.IN_ISDIR, DirCreatedEvent("a/b"), branch("a/b")),
    (Kernel.IN_MOVED_FROM | Kernel.IN_ISDIR, DirMovedEvent("a/b"), branch("a/b")),
    (Kernel.IN_MOVED_TO | Kernel.IN_ISDIR, DirMovedEvent("", "a/b"), branch("a/b")),
    (Kernel.IN_DELETE | Kernel.IN_ISDIR, DirDeletedEvent("a/b"), branch("a/b", prompt=False)),
]


@pytest.mark.parametrize(("mask", "event", "hint"), MEANINGS)
def test_what_the_kernel_says_and_what_it_means(
    mask: int, event: FileSystemEvent, hint: Hint
) -> None:
    assert event_of("a/b", mask) == event
    assert hint_of(event) == hint


def test_a_watchdog_observer_runs_an_emitter_in_threads_with_names(ear: Ear) -> None:
    assert isinstance(ear.observer, BaseObserver)
    (emitter,) = ear.observer.emitters
    assert isinstance(emitter, EventEmitter)
    assert watching() == {"syncd-watch-observer", "syncd-watch-emitter"}


def test_nothing_wakes_up_while_nothing_happens(ear: Ear) -> None:
    """watchdog's own loops would, every second."""

    def switches() -> list[str]:
        threads = (ear.observer, *ear.observer.emitters)
        states = [Path(f"/proc/self/task/{t.native_id}/status").read_text() for t in threads]
        return [line for text in states for line in text.splitlines() if "_ctxt_" in line]

    ear.calm()
    ear.until(lambda: ear.hints[-2:] == [file("mark0.jpg"), file("mark0.jpg", prompt=False)])
    before: list[str] = []
    while before != (now := switches()):  # who heard of the mark's end goes back to sleep
        before = now
        time.sleep(0.2)
    time.sleep(1.3)
    assert switches() == before


def test_a_file_made_and_closed_is_one_event_in_a_burst(ear: Ear, root: Path) -> None:
    with ear.deaf():
        for number in range(1000):
            (root / f"{number}.jpg").touch()
        (root / "link.jpg").symlink_to("0.jpg")
    ear.hears(file("link.jpg", prompt=False), *(file(f"{number}.jpg") for number in range(1000)))
    assert len(ear.calm()) <= 1200


def test_a_file_closed_again_after_it_was_read_is_told_again(root: Path) -> None:
    """The queue drops an event like the last one in it: only while nobody has taken that."""
    reads: list[bytes] = []
    reading, closed = threading.Event(), threading.Event()

    def deliver(hint: Hint) -> None:
        reads.append((root / hint.path).read_bytes())
        reading.set()
        closed.wait(PATIENCE)

    (root / "x.jpg").write_bytes(b"first")
    watcher = Watcher(root, deliver, lambda reason: None)
    watcher.start()
    try:
        (root / "x.jpg").write_bytes(b"second")
        assert reading.wait(PATIENCE)
        for number in range(50):
            (root / "x.jpg").write_bytes(b"%d" % number)
        closed.set()
        end = time.monotonic() + PATIENCE
        while reads[-1] != b"49":
            assert time.monotonic() < end, reads
            time.sleep(0.001)
    finally:
        closed.set()
        watcher.stop()
    assert reads[0] == b"second"


def test_the_last_of_many_versions_is_always_told(root: Path) -> None:
    """Writer and reader race for the queue's last place."""
    reads: list[bytes] = [b""]
    watcher = Watcher(
        root, lambda hint: reads.append((root / hint.path).read_bytes()), lambda reason: None
    )
    watcher.start()
    try:
        for number in range(2000):
            version = b"%d" % number
            (root / "x.jpg").write_bytes(version)
            end = time.monotonic() + PATIENCE
            while number % 10 == 9 and reads[-1] != version:
                assert time.monotonic() < end, (version, reads[-1])
                time.sleep(0)
    finally:
        watcher.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dispatcher_that_died_is_replaced(root: Path) -> None:
    """Only what is no Exception gets through to it."""
    heard: list[str] = []

    def deliver(hint: Hint) -> None:
        heard.append(hint.path)
        if hint.path == "bad.jpg":
            raise SystemExit

    ear = Ear(root)
    ear.watcher = Watcher(root, deliver, ear.doubts.append)
    ear.watcher.start()
    (root / "bad.jpg").touch()
    ear.until(lambda: not ear.observer.is_alive())
    (root / "unheard.jpg").touch()
    assert ear.watcher.check() == Coverage(events=True)
    assert ear.doubts == ["the watch ended by itself"]
    (root / "good.jpg").touch()
    ear.until(lambda: "good.jpg" in heard)
    ear.watcher.stop()


def test_an_emitter_that_died_is_replaced(
    ear: Ear, root: Path, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("cannot be read any more")

    def broken() -> bool:
        raise OSError(errno.ENOMEM, "no memory")

    (emitter,) = ear.observer.emitters
    monkeypatch.setattr(ear.tree._fd, "_check_inotify_fd", broken)
    (root / "x.jpg").touch()
    ear.until(lambda: not emitter.is_alive())
    assert ear.observer.is_alive()
    assert ear.watcher.check() == Coverage(events=True)
    assert ear.doubts == ["the watch ended by itself"]
    (root / "y.jpg").touch()
    ear.hears(file("y.jpg"))


def test_a_mistake_of_the_tree_is_doubted_and_survived(
    ear: Ear, root: Path, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log("an event of .* was lost")

    def broken(path: str, mask: int) -> FileSystemEvent:
        if path == "bad.jpg":
            raise KeyError("a mistake")
        return event_of(path, mask)

    monkeypatch.setattr("syncd.local.watch.tree.event_of", broken)
    (root / "bad.jpg").touch()
    (root / "good.jpg").touch()
    ear.hears(file("good.jpg"))
    assert set(ear.doubts) == {"an event was lost: 'a mistake'"}
    assert ear.watcher.check() == Coverage(events=True)


@pytest.mark.parametrize("name", ["syncd-watch-emitter", "syncd-watch-observer"])
def test_no_thread_is_to_be_had(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    ear = Ear(root)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        reason = "the folder cannot be watched: can't start new thread"
        assert ear.watcher.start() == Coverage(events=False, reason=reason)
        assert ear.watcher.check() == Coverage(events=False, reason=reason)
    assert ear.watcher.check() == Coverage(events=True)
    (root / "x.jpg").touch()
    ear.hears(file("x.jpg"))
    ear.watcher.stop()


def test_a_root_that_cannot_be_watched(public: Path) -> None:
    """No reader has begun, and all that was opened is closed: the guard of every test sees it."""
    with as_nobody():
        (public / "root").mkdir(mode=0)
        ear = Ear(public / "root")
        reason = "the folder cannot be watched: Permission denied"
        assert ear.watcher.start() == Coverage(events=False, reason=reason)
        (public / "root").chmod(0o700)
        assert ear.watcher.check() == Coverage(events=True)
        ear.watcher.stop()


def test_a_root_that_became_a_file(ear: Ear, root: Path) -> None:
    """watchdog would watch the folder above instead."""
    root.rmdir()
    root.touch()
    assert ear.watcher.check() == Coverage(events=False, reason="the folder is missing")


def test_stopped_as_soon_as_started(root: Path) -> None:
    for _ in range(100):
        watcher = Watcher(root, lambda hint: None, lambda reason: None)
        assert watcher.start() == Coverage(events=True)
        watcher.stop()
        assert watching() == set()
        watcher.stop()


def test_a_walk_under_way_ends_with_the_watch(
    ear: Ear, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree moved in may be huge: here it has no end."""
    walking = threading.Event()

    def watch(tree: Tree, path: str) -> bool:
        walking.set()
        time.sleep(0.001)
        return True

    monkeypatch.setattr(Tree, "_watch", watch)
    monkeypatch.setattr("syncd.local.watch.tree._folders", lambda path: ["deeper"])
    (root / "a").mkdir()
    assert walking.wait(PATIENCE)
    ear.watcher.stop()
