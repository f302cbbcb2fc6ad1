"""The control socket of a running mirror: one line of JSON in, one line of JSON out.

A unix socket of mode 0600 in the mirror's state folder. Commands are carried out by the control
thread between two turns; reading the status needs no socket at all.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syncd.engine.commands import carry_out
from syncd.engine.mirror import Command
from syncd.errors import NotFoundError, SyncdError, TransientError, UsageError

log = logging.getLogger(__name__)

NAME = "control.sock"
ANSWER_S = 60.0
MOST = 64 * 1024


class ControlSocket:
    """Listens for one mirror."""

    def __init__(self, folder: Path, post: Callable[[Command], None]) -> None:
        self._folder = folder
        self._post = post
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="syncd-control", daemon=True)

    def start(self) -> None:
        """Listen; a socket left by a dead daemon is replaced, for the folder's lock is ours."""
        (self._folder / NAME).unlink(missing_ok=True)
        with _near(self._folder) as address:
            self._socket.bind(address)
        # The folder lets nobody else in, so there is no moment in which another could connect.
        (self._folder / NAME).chmod(0o600)
        self._socket.listen(8)
        self._thread.start()

    def stop(self) -> None:
        (self._folder / NAME).unlink(missing_ok=True)
        if self._thread.is_alive():
            self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(5.0)
                try:
                    line = caller.makefile("rb").readline(MOST)
                    caller.sendall(json.dumps(self._answer(line)).encode() + b"\n")
                except OSError as error:
                    log.debug("caller left reason=%s", error)

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            words = [str(word) for word in asked["words"]]
        except (ValueError, KeyError, TypeError):
            return {"error": "not a command", "kind": "UsageError"}
        reply: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._post(Command(run=lambda mirror: _safely(mirror, words), answer=reply.put))
        try:
            return dict(reply.get(timeout=ANSWER_S))
        except queue.Empty:
            return {"error": "the daemon is busy: try again", "kind": "TransientError"}


def _safely(mirror: Any, words: list[str]) -> dict[str, Any]:
    try:
        return {"said": carry_out(mirror, words)}
    except SyncdError as error:
        return {"error": str(error), "kind": type(error).__name__}
    except Exception as error:
        # Whoever asked wants an answer, and the mirror goes on.
        log.exception("command broke words=%r", words)
        return {"error": f"unexpected fault: {error!r}", "kind": "SyncdError"}


_KINDS: dict[str, type[SyncdError]] = {
    "UsageError": UsageError,
    "NotFoundError": NotFoundError,
    "TransientError": TransientError,
}


def ask(folder: Path, words: list[str]) -> str:
    """Have the daemon of the mirror in `folder` carry out a command; its answer for a person."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_S + 5)
        try:
            with _near(folder) as address:
                line.connect(address)
            line.sendall(json.dumps({"words": words}).encode() + b"\n")
            answer = json.loads(line.makefile("rb").readline())
        except (OSError, ValueError) as error:
            raise TransientError(f"the daemon does not answer: {error}") from error
    if "error" in answer:
        raise _KINDS.get(answer.get("kind", ""), SyncdError)(answer["error"])
    return str(answer.get("said", ""))


@contextmanager
def _near(folder: Path) -> Iterator[str]:
    """An address of the socket short enough for the kernel's 107 bytes, however deep it lies."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)
