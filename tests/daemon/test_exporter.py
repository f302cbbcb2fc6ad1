"""The numbers on a loopback port and in a file."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from syncd.daemon import exporter
from syncd.daemon.exporter import Exporter
from syncd.errors import ConfigError
from tests.e2e.program import eventually


@pytest.fixture
def serve():
    running = []

    def start(collect, **where):
        running.append(Exporter(collect, **where))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()


def get(port, path="/metrics", host=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if host:
        request.add_header("Host", host)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def test_the_port_tells_what_holds_now(serve):
    counts = iter(range(10))
    port = serve(lambda: f"n {next(counts)}\n", port=0).port
    assert [get(port), get(port)] == ["n 0\n", "n 1\n"]


@pytest.mark.parametrize(("path", "host"), [("/", None), ("/metrics", "evil.example")])
def test_nothing_else_is_told_and_nobody_else(serve, path, host):
    port = serve(lambda: "secret 1\n", port=0).port
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(port, path, host)
    assert refused.value.code == 404
    refused.value.close()


def test_a_caller_who_says_nothing_holds_up_nobody_for_long(serve, monkeypatch):
    port = serve(lambda: "n 1\n", port=0).port
    with socket.create_connection(("127.0.0.1", port)):
        assert get(port) == "n 1\n"


def test_a_port_that_is_taken_is_told(serve):
    port = serve(lambda: "", port=0).port
    with pytest.raises(ConfigError, match=str(port)):
        Exporter(lambda: "", port=port)


def test_the_file_is_kept_up_to_date_and_goes_at_the_end(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "EVERY_S", 0.2)
    monkeypatch.setattr(exporter, "LAST_S", 20.0)
    counts = iter(range(1000))
    file = tmp_path / "syncd.prom"
    running = serve(lambda: f"n {next(counts)}\n", textfile=file)
    eventually(lambda: file.exists() and int(file.read_text()[2:]) > 3)
    assert file.stat().st_mode & 0o777 == 0o644
    running.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_and_tried_again(
    serve, tmp_path, expect_log, monkeypatch
):
    expect_log("numbers not written")
    file = tmp_path / "later" / "syncd.prom"
    monkeypatch.setattr(exporter, "EVERY_S", 0.2)
    counts = iter(range(1000))
    serve(lambda: f"n {next(counts)}\n", textfile=file)
    eventually(lambda: next(counts) > 1)
    file.parent.mkdir()
    eventually(file.exists)


def test_a_file_that_cannot_be_written_is_told_once_until_it_works_again(
    serve, tmp_path, expect_log, monkeypatch, caplog
):
    expect_log("numbers not written")
    monkeypatch.setattr(exporter, "EVERY_S", 0.05)
    file = tmp_path / "later" / "syncd.prom"
    counts = []

    def numbers():
        counts.append(1)
        return "n 1\n"

    serve(numbers, textfile=file)

    def told():
        return sum("numbers not written" in record.message for record in caplog.records)

    eventually(lambda: len(counts) > 3)
    assert told() == 1
    file.parent.mkdir()
    eventually(file.exists)
    file.parent.rename(tmp_path / "away")
    eventually(lambda: told() == 2)


def test_the_end_does_not_wait_for_numbers_that_do_not_come(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "LAST_S", 0.2)
    asked, release = threading.Event(), threading.Event()

    def collect():
        asked.set()
        release.wait(20)
        return "n 1\n"

    running = Exporter(collect, textfile=tmp_path / "syncd.prom")
    running.start()
    assert asked.wait(5)
    before = time.monotonic()
    running.stop()
    assert time.monotonic() - before < 10
    release.set()
    running._thread.join(5)
    assert list(tmp_path.iterdir()) == [], "nobody believes numbers of one that is gone"


def test_a_file_that_is_being_written_at_the_end_does_not_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "LAST_S", 0.2)
    begun, release = threading.Event(), threading.Event()
    replace = Path.replace

    def slowly(fresh, file):
        begun.set()
        release.wait(20)
        return replace(fresh, file)

    monkeypatch.setattr(Path, "replace", slowly)
    running = Exporter(lambda: "n 1\n", textfile=tmp_path / "syncd.prom")
    running.start()
    assert begun.wait(20)
    running.stop()
    release.set()
    running._thread.join(20)
    assert list(tmp_path.iterdir()) == []
