"""Which addresses are those of this user's own hub."""

from __future__ import annotations

import json
import os
import socket

import pytest

from syncd.config.places import places
from syncd.daemon.embedded import is_own
from syncd.daemon.remote import EMBEDDED, resolve


@pytest.fixture
def port():
    """One that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


def tell(url, pid):
    file = places().hub_address
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"url": url, "token": "t", "pid": pid, "data": "/nowhere"}))


def last_used(port):
    places().hub_data.mkdir(parents=True)
    (places().hub_data / "port").write_text(f"{port}\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_every_spelling_of_a_running_one_is_its_own(host):
    tell("http://127.0.0.1:4711", os.getpid())
    assert is_own(f"http://{host}:4711", places())
    assert is_own(f"http://{host}:4711/", places())
    assert not is_own(f"http://{host}:4712", places())
    assert not is_own("http://192.0.2.1:4711", places())


def test_one_on_another_address_is_known_by_that_alone():
    tell("https://192.0.2.1:4711", os.getpid())
    assert is_own("https://192.0.2.1:4711", places())
    assert not is_own("https://192.0.2.1:4712", places())


def test_one_that_stopped_is_known_by_its_port(port):
    last_used(port)
    assert is_own(f"http://127.0.0.1:{port}", places())
    assert not is_own(f"http://127.0.0.1:{port + 1}", places())


def test_who_took_its_port_since_is_somebody_else():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        last_used(port)
        tell(f"http://127.0.0.1:{port}", 1 << 30)
        assert not is_own(f"http://127.0.0.1:{port}", places())


@pytest.mark.parametrize("said", ["nonsense", "http://127.0.0.1:none", "http://[::1", "", "lab"])
def test_what_is_no_address_is_not_its_own(said, port):
    last_used(port)
    assert not is_own(said, places())


def test_its_own_address_is_the_embedded_hub_unless_it_has_a_name(port):
    last_used(port)
    url = f"http://127.0.0.1:{port}"

    def name():
        return resolve(url, token=None, token_file=None, where=places()).name

    assert name() == EMBEDDED
    places().config.mkdir(parents=True)
    places().config_file.write_text(f'[remotes.lab]\nurl = "{url}"\n')
    assert name() == "lab"
