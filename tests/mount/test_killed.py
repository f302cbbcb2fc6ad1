"""The program killed while it speaks through its own mount: it goes, and the next start mounts."""

from __future__ import annotations

import os
import random
import time

from tests import proc
from tests.mount.mounted import CATCHES_UP, content, stuck, until, whole

SLOW = """
import time
from syncd.mount.operations import Operations
Operations.turn = lambda self, path: time.sleep(60 if path else 0)
"""
LOOKED_AT = """
import time
from syncd.mount.operations import Operations
attributes, asked = Operations.attributes, []
def slow(self, path):
    asked.append(path)
    if asked.count("/a.jpg") > 1:
        time.sleep(60)
    return attributes(self, path)
Operations.attributes = slow
"""
ROUNDS = 5


def waits_for_itself(pid: int) -> bool:
    """Whether a thread of this process waits for an answer of a mount."""
    waits = [proc.read(pid, f"task/{task}/wchan") for task in os.listdir(f"/proc/{pid}/task")]
    return any(b"request_wait_answer" in one for one in waits)


def test_who_is_killed_while_he_waits_for_himself_goes_at_once(mount, dataset):
    dataset.put({"a.jpg": content(1, 100)})
    mounted = mount(before=SLOW)
    assert whole(mounted / "a.jpg") == content(1, 100)
    dataset.put({"a.jpg": content(2, 100)})
    until(lambda: waits_for_itself(mounted.process.pid))
    mounted.process.kill()
    mounted.process.wait(5.0)
    again = mount()
    until(lambda: whole(again / "a.jpg") == content(2, 100))
    again.stop()


def test_who_is_killed_while_he_looks_at_what_was_read_goes_at_once(mount, dataset):
    dataset.put({"a.jpg": content(1, 100)})
    mounted = mount(before=LOOKED_AT)
    assert whole(mounted / "a.jpg") == content(1, 100)
    until(lambda: waits_for_itself(mounted.process.pid))
    mounted.process.kill()
    mounted.process.wait(5.0)
    again = mount()
    assert whole(again / "a.jpg") == content(1, 100)
    again.stop()


def test_kills_while_much_is_replaced(mount, dataset):
    keys = [f"f{n % 3}/{n}.jpg" for n in range(100)]
    dataset.put({key: content(0, 100) for key in keys})
    choice = random.Random(1)
    for number in range(1, ROUNDS + 1):
        mounted = mount(before=CATCHES_UP)
        assert {whole(mounted / key) for key in keys} <= {content(number - 1, 100)}
        dataset.put(dict.fromkeys(keys, content(number, 100)))
        time.sleep(choice.random() * 0.1)
        mounted.process.kill()
        mounted.process.wait(5.0)
        until(lambda: not stuck())
    last = mount()
    until(lambda: {whole(last / key) for key in keys} == {content(ROUNDS, 100)})
    last.stop()
