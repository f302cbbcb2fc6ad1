"""The control socket: its end waits for no answer, and nobody waits long for a worker's."""

from __future__ import annotations

import errno
import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from syncd.daemon import control
from syncd.daemon.control import ControlSocket, ask, of_mirror_thread
from syncd.errors import ConflictError


def test_the_end_waits_a_second_for_an_answer_under_way(tmp_path):
    asked, release = threading.Event(), threading.Event()

    def answer(words):
        asked.set()
        release.wait(20)
        return "late"

    listening = ControlSocket(tmp_path, answer, "pics")
    listening.start()
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(ask(tmp_path, ["left"])))
    asking.start()
    try:
        assert asked.wait(5)
        before = time.monotonic()
        listening.stop()
        assert time.monotonic() - before < 4
    finally:
        release.set()
        asking.join(10)
    assert said == ["late"], "who asked is answered all the same"


def test_commands_are_heard_again_after_a_moment_without_descriptors(tmp_path, expect_log):
    expect_log("nobody can be let in")
    listening = ControlSocket(tmp_path, " ".join, "pics")
    short: Any = Short(listening._socket)
    listening._socket = short
    listening.start()
    try:
        assert ask(tmp_path, ["hello"]) == "hello"
    finally:
        listening.stop()


class Short:
    """A socket whose first `accept` finds no descriptor left."""

    def __init__(self, real):
        self._real = real
        self._faults = [OSError(errno.EMFILE, "Too many open files")]

    def accept(self):
        if self._faults:
            raise self._faults.pop()
        return self._real.accept()

    def __getattr__(self, name):
        return getattr(self._real, name)


def test_what_a_worker_does_is_waited_for_and_not_for_long(monkeypatch):
    later: Future[str] = Future()
    answer = of_mirror_thread(lambda command: command.answer(later))
    monkeypatch.setattr(control, "LONG_S", 0.05)
    assert "goes on" in answer(["resolve", "a.jpg", "remote"])
    later.set_result("it was taken")
    assert answer(["resolve", "a.jpg", "remote"]) == "it was taken"


@pytest.mark.parametrize("fault", [ConflictError("changed meanwhile"), TimeoutError("no disk")])
def test_the_fault_of_a_worker_is_told(fault):
    later: Future[str] = Future()
    later.set_exception(fault)
    with pytest.raises(type(fault), match=str(fault)):
        of_mirror_thread(lambda command: command.answer(later))(["resolve", "a.jpg", "remote"])
