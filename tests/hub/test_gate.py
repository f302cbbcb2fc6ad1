"""What counts as use of a hub: what was let in, when it began."""

from __future__ import annotations

import asyncio
import time

import pytest

from syncd.clock import SystemClock
from syncd.hub.auth import Auth
from syncd.hub.gate import Gate, Hosts

HOST = (b"host", b"localhost:80")
TOKEN = (b"authorization", b"Bearer token")


class Asked:
    """A gate, what went on behind it, and what it answered."""

    def __init__(self):
        self.began, self.inside, self.status = 0.0, 0, 0
        auth, hosts = Auth("token", SystemClock()), Hosts(port=80)
        self.gate = Gate(self.app, auth=auth, hosts=hosts, cookie="c", seen=self.seen)
        self.gate.last = 0.0

    async def app(self, scope, receive, send):
        self.began, self.inside = time.monotonic(), self.gate.inside
        await asyncio.sleep(0.02)
        await send({"type": "http.response.start", "status": 200})

    def seen(self, call, status, seconds):
        self.status = status

    def ask(self, *headers):
        async def receive():
            raise AssertionError("nothing here reads a body")

        async def send(message):
            pass

        scope = {"type": "http", "method": "GET", "path": "/v1/datasets", "headers": headers}
        asyncio.run(self.gate(scope, receive, send))


def test_a_request_is_use_when_it_begins_for_its_asker_may_be_gone_when_it_ends():
    asked = Asked()
    asked.ask(HOST, TOKEN)
    assert (asked.status, asked.inside, asked.gate.inside) == (200, 1, 0)
    assert 0 < asked.gate.last <= asked.began


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([HOST], 401),
        ([HOST, (b"authorization", b"Bearer other")], 401),
        ([HOST, TOKEN, (b"origin", b"http://evil.example")], 403),
        ([(b"host", b"evil.example"), TOKEN], 421),
        ([HOST, TOKEN] + [(b"x", b"y")] * 100, 431),
    ],
)
def test_what_is_refused_is_no_use(headers, status):
    asked = Asked()
    asked.ask(*headers)
    assert (asked.status, asked.gate.last, asked.began) == (status, 0.0, 0.0)
