"""Which remote an address is, and whether the hub of the address file answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess

import pytest

from syncd.config.load import load
from syncd.config.places import places
from syncd.daemon import embedded
from syncd.daemon.embedded import running
from syncd.daemon.remote import EMBEDDED, address, resolve
from syncd.errors import StateError, TransientError


@pytest.fixture
def port():
    """One that nobody listens at, where the embedded hub listened last."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = probe.getsockname()[1]
        places().hub_data.mkdir(parents=True)
        (places().hub_data / "port").write_text(f"{found}\n")
        yield found


def tell(url, pid, **more):
    file = places().hub_address
    file.parent.mkdir(parents=True, exist_ok=True)
    said = {"url": url, "token": "t", "pid": pid, "data": str(places().hub_data)}
    file.write_text(json.dumps(said | more))


def test_an_address_is_the_same_remote_whether_the_hub_runs_or_not(port):
    url = f"http://127.0.0.1:{port}"

    def found():
        one = resolve(url, token="mine", token_file=None, where=places())
        return one.name, one.url, one.token, address(url, load(places()))

    assert found() == (url, url, "mine", url)
    tell(url, os.getpid())
    assert found() == (url, url, "mine", url)


def test_an_address_that_the_configuration_names_has_that_name(port):
    url = f"http://127.0.0.1:{port}"
    places().config.mkdir(parents=True)
    places().config_file.write_text(f'[remotes.lab]\nurl = "{url}"\n')
    assert resolve(f"{url}/", token=None, token_file=None, where=places()).name == "lab"
    assert resolve(None, token=None, token_file=None, where=places()).name == EMBEDDED


def test_a_hub_whose_certificate_is_gone_is_none_that_answers(port, tmp_path):
    tell(f"https://127.0.0.1:{port}", 1 << 30, ca=str(tmp_path / "gone.pem"))
    assert running(places()) is None


TRACEBACK = """2026-11-21 18:00:00,000 INFO something else
Traceback (most recent call last):
  File "schema.py", line 215, in _begin
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database or disk is full
"""
BACKGROUND = "(Background on this error at: https://sqlalche.me/e/21/e3q8)\n"


@pytest.mark.parametrize(
    "aside",
    [
        "",
        BACKGROUND,
        "[SQL: BEGIN]\n" + BACKGROUND,
        "[SQL: \nCREATE TABLE a (\n)\n]\n" + BACKGROUND,
    ],
)
def test_a_hub_that_does_not_start_is_told_by_the_line_that_tells(monkeypatch, aside):
    log = places().state / "hub.log"
    log.parent.mkdir(parents=True)
    log.write_text(("older\n[SQL: BEGIN]\n" + TRACEBACK + aside) * 2)
    monkeypatch.setattr(embedded, "_start", lambda _places, _log: subprocess.Popen(["false"]))
    with pytest.raises(StateError) as raised:
        embedded.ensure(places())
    assert raised.value.hint == TRACEBACK.splitlines()[-1]


def test_a_hub_is_started_again_where_one_that_ended_had_the_folder(monkeypatch):
    places().state.mkdir(parents=True)
    (places().state / "hub.log").touch()
    found = embedded.last(places())
    begun = []

    def start(_places, _log):
        begun.append(subprocess.Popen(["sh", "-c", "exit 6"]))
        return begun[-1]

    monkeypatch.setattr(embedded, "_start", start)
    monkeypatch.setattr(embedded, "running", lambda _: found if len(begun) > 1 else None)
    monkeypatch.setattr(embedded, "AGAIN_S", 0.0)
    assert embedded.ensure(places()) is found


def test_a_hub_that_never_answers_is_told_as_one_that_runs(monkeypatch, expect_log):
    places().state.mkdir(parents=True)
    (places().state / "hub.log").write_text("another hub runs on this data\n")

    def ended(*_):
        process = subprocess.Popen(["sh", "-c", "exit 6"])
        process.wait()  # so that the time below is not that of its start
        return process

    monkeypatch.setattr(embedded, "_start", ended)
    monkeypatch.setattr(embedded, "START_S", 1.0)
    monkeypatch.setattr(embedded, "SLOW_S", 0.1)
    expect_log("does not answer yet: .*hub.log")
    with pytest.raises(TransientError, match="another hub runs"):
        embedded.ensure(places())
