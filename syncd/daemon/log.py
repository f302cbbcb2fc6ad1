"""The log of what runs for long: one event a line, to a terminal, the journal or a program.

Whoever logs never waits: lines go through a bounded queue to a thread of their own, which alone
writes. Where the reader is stuck, lines are dropped and counted, and the count is told once it
reads again. What looks like a secret leaves nothing but dots.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable
from typing import Any

MOST = 5_000
"""Lines that wait for their reader; about 1 MB."""
LAST_S = 1.0
"""So long the end of the program waits for a reader."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_NAMES = r"token|password|secret|authorization"
_SECRET = re.compile(
    rf"(?i)((?<!/)\b(?:{_NAMES})[\"']?\s*[=:]\s*[\"']?(?:bearer\s+)?|\bbearer\s+|[?&]code="
    r"|://[^/\s:@]*:(?=[^/\s@]*@))[^\s\"'&@,;)]+"
)
_SECRET_NAME = re.compile(f"(?i){_NAMES}")
_NAMED = re.compile(r"\b(\w+)=%")

Form = Callable[[logging.LogRecord], str]


class Outlet(logging.Handler):
    """Writes records to a descriptor, each by `form`, from a thread of its own."""

    def __init__(self, fd: int, form: Form) -> None:
        super().__init__()
        self._fd = fd
        self._form = form
        self._lines: queue.Queue[str | None] = queue.Queue(MOST)
        self._thread: threading.Thread | None = None
        self._below = self._written_below = ""
        self.dropped = 0
        # Not the handler's lock: `logging.shutdown` holds that one while `close` waits for the
        # writer.
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        # The lock of the handler is held: threads come one by one.
        try:
            self._put(self._form(record))
        except Exception:
            self.handleError(record)

    def say(self, text: str, level: int = logging.INFO) -> None:
        """A sentence for a person, who sees it as it is; others see an event like any other."""
        self.handle(_record(text, level, plain=True))

    def below(self, text: str) -> None:
        """Keep these as the last lines of a terminal, below what is said, until others come; none
        of them may be longer than a line of it."""
        self._below = text
        if self._lines.empty():  # else the next line brings them
            self.acquire()
            try:
                self._put("")
            finally:
                self.release()

    def close(self) -> None:
        """Let what waits be written, for at most a second."""
        self._below = ""
        thread, self._thread = self._thread, None
        if thread:
            try:
                self._lines.put(None, timeout=LAST_S)
                thread.join(LAST_S)
            except queue.Full:
                pass  # The reader is stuck; the program ends without it.
        super().close()

    def _put(self, line: str) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
            self._thread.start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._drop()

    def _drop(self) -> None:
        with self._counting:
            self.dropped += 1

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if self.dropped and self._lines.qsize() < MOST // 2:
                with self._counting:
                    told, self.dropped = self.dropped, 0
                text = f"{told} lines of the log were dropped: nobody read them"
                self._write_above(self._form(_record(text, logging.WARNING)))
            self._write_above(line)
        self._write_above("")

    def _write_above(self, line: str) -> None:
        """Write a line where those below were, and these again."""
        before, self._written_below = self._written_below, self._below
        up = before.count("\n")
        gone = f"\x1b[{up}A" * (up > 0) + "\r\x1b[J" if before else ""
        if text := gone + line + self._written_below:
            self._write(text)

    def _write(self, line: str) -> None:
        data = memoryview(line.encode(errors="backslashreplace"))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            self._drop()  # Nobody is there to read, and nobody to tell.


def _record(text: str, level: int, *, plain: bool = False) -> logging.LogRecord:
    return logging.makeLogRecord({
        "msg": text, "levelno": level, "levelname": logging.getLevelName(level), "name": "syncd",
        "plain": plain,
    })  # fmt: skip


def outlet(fd: int, *, journal: bool, as_json: bool) -> Outlet:
    """An outlet in the form that fits its reader."""
    return Outlet(fd, for_programs if as_json else for_journal if journal else for_people)


def for_people(record: logging.LogRecord) -> str:
    """Time, level, event; the trace of a fault below it. What is said to a person is bare."""
    if getattr(record, "plain", False):
        return f"{record.getMessage()}\n"
    now = time.strftime("%H:%M:%S", time.localtime(record.created))
    return "".join(f"{line}\n" for line in _lines(record, f"{now} {record.levelname} "))


def for_journal(record: logging.LogRecord) -> str:
    """The priority as the journal reads it; time and name it knows by itself."""
    number = next((n for level, n in _PRIORITIES if record.levelno >= level), 7)
    return "".join(f"<{number}>{line}\n" for line in _lines(record, ""))


def for_programs(record: logging.LogRecord) -> str:
    """One JSON object: the event, and what it names as fields of their own."""
    message = hidden(record.getMessage())
    found: dict[str, Any] = {
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}"
        f".{int(record.msecs):03}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": message.partition("=")[0].rpartition(" ")[0] if _named(record) else message,
        **_named(record),
    }
    if record.exc_info:
        found["trace"] = hidden(_trace(record))
    return json.dumps(found) + "\n"


def hidden(text: str) -> str:
    """The text without what looks like a secret."""
    return _SECRET.sub(r"\1...", text)


def _named(record: logging.LogRecord) -> dict[str, Any]:
    """The arguments of an event that its text names, as in `path=%r`."""
    names = _NAMED.findall(str(record.msg))
    values = record.args if isinstance(record.args, tuple) else ()
    if len(names) != len(values):
        return {}
    plain = [v if isinstance(v, int | float) else str(v) for v in values]
    return {
        name: "..."
        if _SECRET_NAME.fullmatch(name)
        else hidden(value)
        if isinstance(value, str)
        else value
        for name, value in zip(names, plain, strict=True)
    }


def _lines(record: logging.LogRecord, head: str) -> list[str]:
    event = hidden(record.getMessage()).replace("\n", "\\n")
    return [f"{head}{event}", *(hidden(_trace(record)).splitlines() if record.exc_info else ())]


def _trace(record: logging.LogRecord) -> str:
    return logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
