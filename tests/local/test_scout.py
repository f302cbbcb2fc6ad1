"""A scout sees what a scan sees, from the other end, and nothing depends on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.local.ignore import Filter
from syncd.local.kind import EXTENSIONS
from syncd.local.listing import Glance, Listing
from syncd.local.scan import walk
from tests import proc

# A process with one thread, as the command is when it sends a scout out.
ALONE = """
import json, os, sys, time
from pathlib import Path
from syncd.local.ignore import Filter
from syncd.local.kind import EXTENSIONS
from syncd.local.scout import Scout
from syncd.value import by_name
root = Path(sys.argv[1])
"""
TELL = """
with Scout(root, Filter(extensions=EXTENSIONS)) as scout:
    os.waitid(os.P_PID, scout._child, os.WEXITED | os.WNOWAIT)
    told = {dir: scout.glance(dir) for dir in json.loads(sys.argv[2])}
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print(json.dumps({dir: found and by_name(found) for dir, found in told.items()}))
"""
HOLD = """
scout = Scout(root, Filter(extensions=EXTENSIONS))
print(scout._child, flush=True)
time.sleep(60)
"""
WITH_A_THREAD = """
import threading
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
try:
    Scout(root, Filter(extensions=EXTENSIONS))
except OSError as error:
    print(error)
"""


@pytest.fixture
def chosen() -> Filter:
    return Filter(extensions=EXTENSIONS)


def run(script: str, root: Path, *more: str) -> str:
    asked = [sys.executable, "-c", ALONE + script, str(root), *more]
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout


def told_of(root: Path, dirs: list[str]) -> dict[str, dict[str, object] | None]:
    return dict(json.loads(run(TELL, root, json.dumps(dirs))))


def test_a_scout_tells_of_every_folder_what_a_scan_does(tree, chosen):
    root = tree({
        "a.jpg": "1", "a.jpg.json": "{}", "n.txt": "", "b/c/ü.png": "22", "b/x.jpg": "",
        "b/.syncdignore": "d/\n", "b/d/y.jpg": "", "odd\nname/z.jpg": "", ".h/i.jpg": "",
    })  # fmt: skip
    (root / "empty").mkdir()
    found = list(walk(root, chosen))
    told = told_of(root, [listing.dir for listing in found])
    assert {listing.dir for listing in found} == {"", "b", "b/c", "odd\nname", "empty"}
    for listing in found:
        assert told[listing.dir] == {
            "dir": listing.dir, "print": listing.print(), "count": len(listing.files),
            "subdirs": [*listing.subdirs], "ignored": listing.ignored,
        }  # fmt: skip


def test_what_it_cannot_answer_for_it_does_not_tell(tree):
    root = tree({"a/x.jpg": "", "b/x.jpg": "", "c/.syncdignore": "[", "c/x.jpg": ""})
    Path(os.fsdecode(bytes(root / "a") + b"/\xff.jpg")).touch()
    (root / "c" / ".syncdignore").unlink()
    (root / "c" / ".syncdignore").mkdir()
    told = told_of(root, ["", "a", "b", "c", "none"])
    assert {dir for dir, found in told.items() if found} == {"", "b"}


def test_a_scout_does_not_outlive_who_sent_it(tree):
    root = tree({f"{n:0>220}/x.jpg": "" for n in range(3000)})  # more than waits in a pipe
    with process(HOLD, root) as sent:
        assert sent.stdout
        scout = int(sent.stdout.readline())
        assert proc.parent(scout)
        sent.kill()
        sent.wait()
        deadline = time.monotonic() + 20
        while proc.parent(scout):
            assert time.monotonic() < deadline, "the scout is still there"
            time.sleep(0.01)


def test_none_is_sent_out_beside_threads(tmp_path):
    assert "threads" in run(WITH_A_THREAD, tmp_path)


def test_patterns_of_a_folder_told_of_count_below_it(tree, chosen):
    root = tree({"a/.syncdignore": "no.jpg\n", "a/b/no.jpg": "", "a/b/yes.jpg": ""})
    of_a = Glance(dir="a", print="", count=0, subdirs=["b"], ignored={})
    found = list(walk(root, chosen, ahead={"a": of_a}.get))
    assert found[1] is of_a
    assert isinstance(found[2], Listing)
    assert list(found[2].files) == ["yes.jpg"]


def test_a_folder_told_of_whose_patterns_are_wrong_is_listed(tree, chosen):
    root = tree({"a/x.jpg": ""})
    (root / "a" / ".syncdignore").mkdir()
    of_a = Glance(dir="a", print="", count=1, subdirs=[], ignored={})
    found = list(walk(root, chosen, ahead={"a": of_a}.get))[1]
    assert isinstance(found, Listing)
    assert not found.complete


@contextmanager
def process(script: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    asked = [sys.executable, "-c", ALONE + script, str(root)]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as made:
        yield made
        made.send_signal(signal.SIGKILL)
