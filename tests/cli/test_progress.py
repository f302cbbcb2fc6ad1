"""What is seen while files travel: a line now and then, or bars."""

from __future__ import annotations

import pytest

from syncd.cli import progress
from syncd.cli.progress import Bars, Lines, Silence, display
from syncd.engine.report import Tally


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_lines_come_every_two_seconds(clock, capfd):
    lines = Lines("sending")
    tally = Tally(done=3, bytes=2048)
    clock.now += 1.9
    lines.show(tally)
    assert capfd.readouterr().err == "", "too soon"
    clock.now += 0.1
    lines.show(tally)
    lines.show(tally)
    assert capfd.readouterr().err == "sending: 3 scanning, 2.0 KiB\n"
    clock.now += 2.0
    lines.show(Tally(scanning=False, files=10, done=4, bytes=4096))
    assert capfd.readouterr().err == "sending: 4 of 10, 4.0 KiB\n"


def test_bars_scan_until_the_number_of_files_is_known(clock, capfd, monkeypatch):
    # Drawn by nobody else, who might put what was before over it.
    monkeypatch.setattr("rich.live._RefreshThread.run", lambda thread: None)
    bars = Bars("sending")
    try:
        [task] = bars._progress.tasks
        assert (task.description, task.total) == ("scanning", None)
        tally = Tally(done=3, bytes=4096)
        bars.show(tally)
        clock.now += 2.0
        bars._drawn()
        assert (task.description, task.total, task.fields["files"]) == ("scanning", None, "3")
        assert task.fields["sent"] == "4.0 KiB, 2.0 KiB/s"
        tally.scanning, tally.files, tally.done = False, 10, 4
        clock.now += 2.0
        bars._drawn()
        assert (task.description, task.fields["files"]) == ("sending", "4 of 10")
        assert (task.completed, task.total) == (0.4, 1.0)
        assert task.fields["sent"] == "4.0 KiB, 1.0 KiB/s"
        tally.leaving = lambda: 10240  # a big file is on its way, and nothing more is told
        tally.expected = 20480
        bars._drawn()
        assert task.completed == 0.5
        assert task.fields["sent"] == "10.0 KiB, 2.5 KiB/s"
    finally:
        bars.close()
    assert not bars._live.is_started


@pytest.mark.parametrize(
    ("quiet", "terminal", "kind"),
    [(True, True, Silence), (False, False, Lines), (False, True, Bars)],
)
def test_the_display_fits_where_we_are(monkeypatch, capfd, quiet, terminal, kind):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with display("sending", quiet=quiet) as shown:
        assert isinstance(shown, kind)
        shown.show(Tally())
