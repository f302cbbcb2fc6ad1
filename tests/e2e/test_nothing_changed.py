"""Where nothing changed, nothing is read, and what is asked does not grow with the files."""

from __future__ import annotations

import json
import sys

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


SCOUTED = """
import os, sys
import syncd.local.scan as scan, syncd.local.scout as scout, syncd.state.folder as folder
from syncd.cli.main import main
folder.LARGE = 0
began, listed, here = scout.Scout.__init__, scan.list_folder, os.getpid()
def begin(self, *args):
    began(self, *args)
    os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOWAIT)
def listing(top, dir, filter):
    if os.getpid() == here:
        print("listed", dir, file=sys.stderr)
    return listed(top, dir, filter)
scout.Scout.__init__, scan.list_folder = begin, listing
main()
"""
"""The command with a scout for every folder, who is back before the command looks for itself."""


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


def scouted(program, *args):
    """What a push reports, and which folders it listed itself."""
    running = program.start(*args, "--json", command=(sys.executable, "-c", SCOUTED))
    assert running.ended() == 0, running.said
    *listed, report = running.said.splitlines()
    return json.loads(report), [line.removeprefix("listed ") for line in listed]


def test_where_a_scout_saw_no_change_nobody_looks_again(pushed, program, name):
    (pushed / "5" / "notes.txt").write_text("")
    (pushed / "6" / ".syncdignore").write_text("0006.jpg")
    before = program("push", pushed, "--to", name, "--json").json
    report, listed = scouted(program, "push", pushed, "--to", name)
    assert report | {"seconds": 0} == before | {"seconds": 0}
    assert report["skipped"] == MANY - 1
    assert not listed


def test_where_a_scout_saw_a_change_it_is_looked_for(pushed, program, shelf, name):
    (pushed / "3" / "0003.jpg").write_bytes(b"changed")
    (pushed / "4" / "new.jpg").write_bytes(b"new")
    (pushed / "5" / "0005.jpg").rename(pushed / "5" / "moved.jpg")
    report, listed = scouted(program, "push", pushed, "--to", name)
    assert listed == ["3", "4", "5"]
    assert (report["uploaded"], report["failed"]) == (2, [])
    assert shelf.content("3/0003.jpg") == b"changed"
