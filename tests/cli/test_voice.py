"""How `syncd watch` speaks on a terminal, and how where none is."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from syncd.cli import render, voice
from syncd.cli.voice import Bars, Lines, Unsaid
from syncd.daemon.sayings import Going

COLUMNS = 110


class Terminal:
    """A terminal with a program in it, and what is written on it."""

    def __init__(self, *words: str) -> None:
        self.end, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 20, COLUMNS, 0, 0))
        self.program = subprocess.Popen(
            words, stdin=other, stdout=other, stderr=other, env={**os.environ, "TERM": "xterm"}
        )
        os.close(other)
        self._bytes = b""

    @property
    def written(self) -> str:
        return self._bytes.decode(errors="replace")

    def wait_for(self, pattern: str) -> str:
        """What of all that was written is like this."""
        until = time.monotonic() + 40
        while not (found := re.search(pattern, self.written)):
            assert time.monotonic() < until, self.written
            if select.select([self.end], [], [], 1.0)[0]:
                self._bytes += os.read(self.end, 65536)
        return found[0]

    def close(self) -> None:
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait()
        os.close(self.end)


def screen(written: str) -> list[str]:
    """The lines as they stand there, for what a bar is made of and no more."""
    lines, row = [""], 0
    for part in written.replace("\r\n", "\n").replace("\r", "\x1b[0G").split("\x1b["):
        text = part
        if part[:2] == "0G":
            lines[row], text = "", part[2:]
        elif part[:1] == "J":
            del lines[row + 1 :]
            text = part[1:]
        elif part[:2] in {"1A", "2A"}:
            row, text = row - int(part[0]), part[2:]
        for n, line in enumerate(text.split("\n")):
            if n:
                row += 1
                lines[row:] = [""]
            lines[row] += line
    return lines


@pytest.fixture
def terminal():
    opened = []

    def open_(*words: str) -> Terminal:
        opened.append(Terminal(*words))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


@pytest.mark.usefixtures("shared")
def test_a_bar_is_seen_while_files_are_on_their_way_and_a_line_stays(terminal, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    for n in range(30):
        (folder / f"{n}.jpg").write_bytes(os.urandom(100_000))
    command = [sys.executable, "-m", "syncd", "watch", str(folder), "--bandwidth", "1 MB/s"]
    shown = terminal(*command)
    going = r"\d+ of 30, \d+\.\d [KM]iB, \d+\.\d [KM]iB/s"  # a late first byte makes it slower
    seen = shown.wait_for(rf"test_a_bar[^ ]*~  [━╌]{{24}}  {going}[^\r\n\x1b]*(?=[\r\n\x1b])")
    assert len(seen) < COLUMNS
    shown.wait_for(f"{re.escape(name)}: 30 stored")
    shown.program.send_signal(signal.SIGINT)
    shown.wait_for("is stored\r\n")
    last = screen(shown.written)
    assert [line for line in last if "━" in line] == []
    stopped = "stopped: all that was reported stored is stored"
    assert last[-3:] == [f"{name}: 30 stored", stopped, ""]


@pytest.mark.parametrize(
    ("quiet", "log_json", "tty", "term", "kind"),
    [
        (True, False, True, "xterm", Unsaid),
        (False, True, True, "xterm", Lines),
        (False, False, False, "xterm", Lines),
        (False, False, True, "dumb", Lines),
        (False, False, True, "xterm", Bars),
    ],
)
def test_the_voice_fits_where_we_are(monkeypatch, quiet, log_json, tty, term, kind):
    monkeypatch.setattr("sys.stderr.isatty", lambda: tty)
    monkeypatch.setenv("TERM", term)
    assert type(voice.voice(quiet=quiet, log_json=log_json)) is kind


def test_each_dataset_has_a_bar_of_its_own_that_fits(monkeypatch):
    seen: list[list[str]] = []
    monkeypatch.setattr(render, "below", seen.append)
    bars = Bars(lambda: 80)
    half = Going(done=50, left=50, bytes=1 << 20, seconds=2.0)
    assert bars.show("b", half)
    assert bars.show("a\n" * 40, Going(done=0, left=None, bytes=0, seconds=0.0))
    assert bars.show("b", half)
    assert len(seen) == 2, "what is the same is not shown again"
    assert seen[-1][0].startswith("a\\na\\n")
    assert "scanning, 0 done" in seen[-1][0]
    assert seen[-1][1].startswith(f"b  {'━' * 12}{'╌' * 12}  50 of 100, 1.0 MiB")
    assert max(map(len, seen[-1])) <= 79
    assert bars.show("b", Going(done=50, left=50, bytes=1 << 20, seconds=70.0))
    assert "1:10 left" in seen[-1][1]
    bars.show("b", None)
    assert len(seen[-1]) == 1
