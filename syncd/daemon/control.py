"""The control socket of what runs: one line of JSON in, one line of JSON out.

A unix socket of mode 0600 in the state folder of a mirror, or of whatever else runs for long, as a
mount. A mirror's commands are carried out by its control thread between two turns; reading the
status needs no socket at all.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from syncd.daemon.metrics import of_mirror, to_fields
from syncd.engine.commands import Said, carry_out
from syncd.engine.mirror import Command, Mirror
from syncd.errors import NotFoundError, SyncdError, TransientError, UsageError

log = logging.getLogger(__name__)

NAME = "control.sock"
ANSWER_S = 60.0
LONG_S = 10.0
"""So long whoever asked for what a worker has to do is kept waiting for its end."""
LAST_S = 1.0
"""So long an answer under way is waited for at the end."""
AGAIN_S = 0.2
"""So long nobody is let in after that failed, as where there are no descriptors left."""
MOST = 64 * 1024
LEVELS = ("debug", "info", "warning", "error")

Answer = Callable[[list[str]], str]
"""Carries out a command, returns a sentence or JSON; raises SyncdError."""


class ControlSocket:
    """Listens in one folder; every line is answered by `answer`, in this socket's thread.

    `name` is what it speaks for, as a person knows it: a root, a mount point."""

    def __init__(self, folder: Path, answer: Answer, name: str) -> None:
        self._folder = folder
        self._name = name
        self._respond = answer
        self._stopped = threading.Event()
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
        self._stopped.set()
        (self._folder / NAME).unlink(missing_ok=True)
        if self._thread.is_alive():
            self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join(LAST_S)
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                caller, _ = self._socket.accept()
            except OSError as error:
                if not self._stopped.wait(AGAIN_S):
                    log.warning("nobody can be let in reason=%s", error)
                continue
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
        try:
            return {"said": self._said(words)}
        except SyncdError as error:
            return {"error": str(error), "kind": type(error).__name__}
        except Exception as error:
            # Whoever asked wants an answer, and the daemon goes on.
            log.exception("command broke words=%r", words)
            return {"error": f"unexpected fault: {error!r}", "kind": "SyncdError"}

    def _said(self, words: list[str]) -> str:
        if words[:1] != ["log-level"]:
            return self._respond(words)
        return f"{self._name}: {log_level(words[1:])}"


def log_level(words: Sequence[str]) -> str:
    """Say or set how much this process logs, until it ends."""
    logger = logging.getLogger("syncd")
    if words and words[0] not in LEVELS:
        raise UsageError(f"{words[0]!r} is no level: it is one of {', '.join(LEVELS)}")
    if words:
        logger.setLevel(words[0].upper())
    return f"the log level is {logging.getLevelName(logger.getEffectiveLevel()).lower()}"


def of_mirror_thread(post: Callable[[Command], None]) -> Answer:
    """Answers by what the control thread of a mirror says, which has its turns to take first."""

    def answer(words: list[str]) -> str:
        reply: queue.SimpleQueue[Said | Exception] = queue.SimpleQueue()
        post(Command(run=lambda mirror: _tried(mirror, words), answer=_into(reply)))
        try:
            said = reply.get(timeout=ANSWER_S)
        except queue.Empty:
            raise TransientError("the daemon is busy: try again") from None
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, str) else _awaited(said)

    return answer


def _awaited(later: Future[str]) -> str:
    try:
        return later.result(LONG_S)
    except TimeoutError:
        if later.done():
            return later.result()  # Its own fault, as of a disk in the network.
        return "it takes its time and goes on: `syncd history` tells how it ends"


def _tried(mirror: Mirror, words: list[str]) -> Said | Exception:
    """The fault of a command is the caller's to hear of, and not the mirror's end."""
    try:
        if words == ["metrics"]:
            return json.dumps(to_fields(of_mirror(mirror)))
        return carry_out(mirror, words)
    except Exception as error:
        return error


def _into(reply: queue.SimpleQueue[Said | Exception]) -> Callable[[object], None]:
    return lambda said: reply.put(said if isinstance(said, Exception | Future) else str(said))


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
