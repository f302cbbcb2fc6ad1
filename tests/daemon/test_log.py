"""The log: nobody waits for its reader, every reader gets its form, and nobody a secret."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
import warnings
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli import render
from syncd.config.places import under_journal
from syncd.daemon import log
from syncd.daemon.log import for_journal, for_people, for_programs, hidden, outlet

TOKEN = "s3cr3t-T0ken_of.mine"


@contextmanager
def logger_to(fd, *, journal=False, as_json=False):
    logger = logging.Logger("syncd.test")
    handler = outlet(fd, journal=journal, as_json=as_json)
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        handler.close()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def record(text, *args, level=logging.WARNING, **more):
    return logging.makeLogRecord(
        {"msg": text, "args": args, "levelno": level, "levelname": logging.getLevelName(level)}
        | more
    )


def test_a_reader_that_is_stuck_stops_nobody_and_hears_what_it_missed(pipe, monkeypatch):
    monkeypatch.setattr(log, "MOST", 100)
    reader, writer = pipe
    with logger_to(writer) as (logger, handler):
        began = time.monotonic()
        for number in range(5_000):
            logger.warning("event number=%d text=%s", number, "x" * 200)
        assert time.monotonic() - began < 20.0
        read, told_all = b"", False
        while b"the last one" not in read:
            read += os.read(reader, 1 << 16)
            # Once all that waited was written: a line before that could be dropped as well.
            if not told_all and b"were dropped" in read and handler._lines.empty():
                told_all = True
                logger.warning("the last one")
    told = sum(map(int, re.findall(rb"(\d+) lines of the log were dropped", read)))
    numbers = [int(line.split(b"number=")[1].split()[0]) for line in read.splitlines()
               if b"number=" in line]  # fmt: skip
    assert numbers == sorted(numbers)
    assert len(numbers) + told == 5_000
    assert told > 1_000


def test_the_end_does_not_wait_for_a_stuck_reader_for_long(pipe):
    reader, writer = pipe
    logger = logging.Logger("syncd.test")
    handler = outlet(writer, journal=False, as_json=False)
    logger.addHandler(handler)
    for _ in range(2_000):
        logger.warning("x" * 200)
    began = time.monotonic()
    thread = handler._thread
    handler.close()
    assert time.monotonic() - began < 20.0
    assert thread.is_alive(), "what was left is still to be written"
    os.set_blocking(reader, False)
    while thread.is_alive():  # it must not write to a descriptor that is somebody else's by then
        with suppress(BlockingIOError):
            os.read(reader, 1 << 16)
        time.sleep(0.002)


def test_the_end_has_what_waits_written_though_it_holds_the_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "MOST", 10)
    monkeypatch.setattr(log, "LAST_S", 5.0)
    file, go = tmp_path / "log", threading.Event()
    with file.open("wb") as out, logger_to(out.fileno()) as (logger, handler):
        real = handler._write
        monkeypatch.setattr(handler, "_write", lambda line: go.wait(10) and real(line))
        for number in range(50):
            logger.warning("event %d", number)
        dropped = handler.dropped
        handler.acquire()  # as `logging.shutdown` does
        try:
            go.set()
            handler.close()
            text = file.read_text()
        finally:
            handler.release()
    assert f"{dropped} lines of the log were dropped" in text
    assert text.count("event ") == 50 - dropped


def test_a_fault_of_what_is_kept_below_stops_nobody_else(pipe, monkeypatch):
    with logger_to(pipe[1]) as (logger, handler):
        with monkeypatch.context() as patched:
            patched.setattr(handler, "_put", lambda line: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                handler.below("a bar")
        other = threading.Thread(target=logger.warning, args=("event",), daemon=True)
        other.start()
        other.join(5)
        assert not other.is_alive()


def test_all_that_was_logged_is_written_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "LAST_S", 20.0)
    file = tmp_path / "log"
    with file.open("wb") as out, logger_to(out.fileno()) as (logger, _):
        for number in range(500):
            logger.warning("event %d", number)
    assert len(file.read_text().splitlines()) == 500


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3),
     (logging.CRITICAL, 2)],
)  # fmt: skip
def test_the_journal_gets_priorities_on_every_line(level, number):
    try:
        raise ValueError("deep down")
    except ValueError as error:
        trace = (type(error), error, error.__traceback__)
    text = for_journal(record("broke path=%s", "a\nb", level=level, exc_info=trace))
    assert text.startswith(f"<{number}>broke path=a\\nb\n")
    assert len(text.splitlines()) > 2
    assert all(line.startswith(f"<{number}>") for line in text.splitlines())


def test_programs_get_fields(capsys):
    found = json.loads(for_programs(record("failed path=%r retry_s=%.1f", "a b", 2.5)))
    assert found["event"] == "failed"
    assert found["path"] == "a b"
    assert found["retry_s"] == 2.5
    assert found["level"] == "warning"
    assert found["time"].endswith("Z")
    assert json.loads(for_programs(record("swept")))["event"] == "swept"


def test_people_get_the_level_and_bare_sentences(capsys):
    assert for_people(record("swept files=%d", 3)).rstrip().endswith("WARNING swept files=3")
    assert for_people(record("drop files here", plain=True)) == "drop files here\n"


@pytest.mark.parametrize(
    "text",
    [
        f"sent Authorization: Bearer {TOKEN} to", f"GET /enter?code={TOKEN}&x=1",
        f"http://user:{TOKEN}@host/", f"token={TOKEN}", f'{{"token": "{TOKEN}"}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [for_people, for_journal, for_programs])
def test_no_form_shows_a_secret(text, form):
    assert TOKEN not in form(record("asked what=%s", text))
    assert TOKEN not in form(record(text.replace("%", "%%")))


def test_a_path_that_ends_like_a_secret_is_shown_with_what_is_said_of_it():
    said = "/etc/syncd/token: is empty where a token is wanted"
    assert said in for_people(record(said))


@given(st.text())
def test_any_text_is_one_line_in_every_form(text):
    for form in (for_people, for_journal, for_programs):
        assert form(record("%s", text)).count("\n") == 1
    assert hidden(hidden(text)) == hidden(text)


def test_the_journal_is_known_by_its_descriptor(tmp_path):
    with (tmp_path / "journal").open("wb") as file:
        found = os.fstat(file.fileno())
        named = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert under_journal(file.fileno(), named)
        assert not under_journal(0, named)
        assert not under_journal(file.fileno(), {})
        assert not under_journal(10_000, named)


def test_what_others_log_goes_the_same_way(pipe, monkeypatch):
    reader, writer = pipe
    monkeypatch.setattr(render, "STDERR", writer)
    monkeypatch.setattr(log, "LAST_S", 20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        render.log_to_stderr(logging.INFO, as_json=True)
        try:
            logging.getLogger("uvicorn.error").error("broke token=%s", TOKEN)
            logging.getLogger("fuse").warning("uncaught")
            logging.getLogger("httpx").info("of no interest")
            warnings.warn("old", UserWarning, stacklevel=1)
            logging.getLogger("syncd.test").info("ours")
        finally:
            render.end_log()
    said = os.read(reader, 1 << 16).decode()
    found = [json.loads(line) for line in said.splitlines()]
    assert [one["logger"] for one in found] == [
        "uvicorn.error", "fuse", "py.warnings", "syncd.test",
    ]  # fmt: skip
    assert TOKEN not in said
    assert not any(isinstance(one, log.Outlet) for one in logging.getLogger().handlers)
