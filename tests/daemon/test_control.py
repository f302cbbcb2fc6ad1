"""The control socket: its end waits for no answer."""

from __future__ import annotations

import threading
import time

from syncd.daemon.control import ControlSocket, ask


def test_the_end_waits_a_second_for_an_answer_under_way(tmp_path):
    asked, release = threading.Event(), threading.Event()

    def answer(words):
        asked.set()
        release.wait(20)
        return "late"

    control = ControlSocket(tmp_path, answer)
    control.start()
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(ask(tmp_path, ["left"])))
    asking.start()
    try:
        assert asked.wait(5)
        before = time.monotonic()
        control.stop()
        assert time.monotonic() - before < 4
    finally:
        release.set()
        asking.join(10)
    assert said == ["late"], "who asked is answered all the same"
