"""A hub that is frozen, not gone: it takes what it is sent, and says nothing."""

from __future__ import annotations

import logging
import subprocess
from contextlib import contextmanager

import pytest

from syncd.cli import render
from syncd.daemon import embedded
from syncd.remotes import hub as remote
from syncd.remotes.wire import Wire
from tests import proxy
from tests.e2e.program import digest


@contextmanager
def impatient():
    """The waits of a client, shortened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Wire.__init__.__kwdefaults__ or {}, "timeout", 2.0)
        patch.setattr(remote, "BATCH_SECONDS", 0.0)
        yield


def test_a_push_to_it_ends_and_the_next_one_goes_on(cli, start_hub, monkeypatch, photos, allow_log):
    """It froze with a batch in its hands, which it may store after the push has ended."""
    allow_log("remote away")
    own = start_hub()

    def freeze(request):
        own.freeze()
        return request.pass_on()

    with proxy.before(own.url, freeze, {"POST batch"}) as between:
        monkeypatch.setenv("SYNCD_REMOTE", between.url)
        monkeypatch.setenv("SYNCD_TOKEN", own.token)
        with impatient():
            told = cli("push", photos, "--to", "x", "--json", code=5).json
        assert between.asked.count("POST batch") == 2, "twice without an answer is enough"
        assert (told["uploaded"], told["success"], len(told["failed"])) == (0, False, 6)
        assert {one["reason"] for one in told["failed"]} == {
            f"not sent: {between.url} does not answer: timed out"
        }
        own.thaw()
        assert cli("push", photos, "--to", "x", "--json").json["success"]
        items = cli("ls", "x", "--json").lines
    files = [path for path in photos.rglob("[!.]*.*") if path.suffix != ".txt"]
    assert sorted(item["sha256"] for item in items) == sorted(digest(f.read_bytes()) for f in files)


def test_who_waits_for_a_hub_that_is_slow_to_start_is_told_once(cli, monkeypatch, expect_log):
    monkeypatch.setattr(embedded, "_start", lambda *_: subprocess.Popen(["sh", "-c", "exit 6"]))
    monkeypatch.setattr(embedded, "_last_line", lambda _: "no line")
    monkeypatch.setattr(embedded, "START_S", 0.5)
    monkeypatch.setattr(embedded, "SLOW_S", 0.1)
    expect_log("does not answer yet")
    slow, failed = cli("ls", code=5).err.splitlines()
    assert slow.startswith("syncd: the embedded hub does not answer yet: ")
    assert "does not answer" in failed


def test_a_note_that_nobody_reads_stops_nothing(monkeypatch):
    def gone(*_):
        raise BrokenPipeError

    monkeypatch.setattr(render, "note", gone)
    render.Notes().handle(logging.makeLogRecord({"msg": "a hub is slow"}))
