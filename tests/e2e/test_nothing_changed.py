"""Where nothing changed, nothing is read, and what is asked does not grow with the files."""

from __future__ import annotations

import pytest
from watchdog.events import FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests import proxy
from tests.e2e.program import Program, eventually

MANY = 1500
"""More than a page of a listing holds."""


@pytest.fixture
def between(hub):
    with proxy.before(hub.url, proxy.cut_before, set()) as between:
        yield between


@pytest.fixture
def program(between, hub, home):
    program = Program(home, {"SYNCD_REMOTE": between.url, "SYNCD_TOKEN": hub.token})
    yield program
    program.end()


@pytest.fixture
def pushed(program, root, name):
    """A tree of many files that is in the dataset."""
    for number in range(MANY):
        place = root / f"{number % 7}" / f"{number:04}.jpg"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"%d" % number)
    (root / "0" / "0000.jpg.json").write_bytes(b'{"images": []}')
    program("push", root, "--to", name)
    return root


class Opened(FileSystemEventHandler):
    """Remembers which files were opened by anybody."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def on_opened(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileOpenedEvent):
            self.files.add(str(event.src_path).rpartition("/")[2])


@pytest.fixture
def opened(pushed):
    seen = Opened()
    observer = Observer()
    observer.schedule(seen, str(pushed), recursive=True)
    observer.start()
    yield seen
    observer.stop()
    observer.join()


def told(opened, root):
    """What was opened until now; a file of our own at the end says that all of it was heard."""
    (root / "last.txt").write_text("")
    eventually(lambda: "last.txt" in opened.files)
    return opened.files - {"last.txt", ".syncd-root"}


def test_a_push_reads_no_file_and_asks_a_few_questions(pushed, opened, program, between, name):
    between.asked.clear()
    done = program("push", pushed, "--to", name, "--json").json
    assert (done["uploaded"], done["skipped"], done["bytes"]) == (0, MANY, 0)
    assert len(between.asked) <= 5, between.asked
    assert told(opened, pushed) == set()


def test_a_watch_reads_no_file_and_asks_for_pages(pushed, opened, program, between, name):
    between.asked.clear()
    watching = program.watch(pushed, "--to", name)

    def quiet():
        (mirror,) = program("status", "--json").json["mirrors"]
        compared = between.asked.count("GET changes") > 1 + MANY // 1000
        return compared and mirror["state"] == "watching" and not mirror["pending"]

    eventually(quiet)
    watching.stop()
    assert len(between.asked) <= 12, between.asked
    assert told(opened, pushed) == set()


def test_one_that_did_change_alone_is_read(pushed, opened, program, between, name):
    (pushed / "3" / "0003.jpg").write_bytes(b"changed")
    told(opened, pushed)
    opened.files.clear()
    between.asked.clear()
    assert program("push", pushed, "--to", name, "--json").json["uploaded"] == 1
    assert len(between.asked) <= 6, between.asked
    assert told(opened, pushed) == {"0003.jpg"}
