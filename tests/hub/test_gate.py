"""What counts as use of a hub: what was let in, when it began."""

from __future__ import annotations

import asyncio
import selectors
import time
from contextlib import closing
from hashlib import sha256

import pytest
from starlette.exceptions import HTTPException

from syncd.clock import SystemClock
from syncd.hub import app, patience
from syncd.hub.auth import Auth
from syncd.hub.core import Hub, HubSettings
from syncd.hub.gate import Gate, Hosts
from syncd.hub.patience import Patience

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


async def silent():
    await asyncio.Event().wait()


def asked(hub, method, path, *chunks):
    """The status and the headers of the answer to a request whose body stops after these chunks."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    answers = []

    async def receive():
        return messages.pop(0) if messages else await silent()

    async def send(message):
        answers.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [HOST, (b"authorization", f"Bearer {hub.token}".encode())],
    }  # fmt: skip
    answered = app.create(hub, Hosts(port=80))(scope, receive, send)
    asyncio.run(asyncio.wait_for(answered, 10))
    return answers[0]["status"], dict(answers[0]["headers"])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "SILENCE", 0.05)
    (tmp_path / "data").mkdir()
    with closing(Hub(HubSettings(data=tmp_path / "data", min_free=0))) as hub:
        yield hub


def test_a_part_that_stands_still_is_ended_and_what_came_of_it_counts(hub):
    upload = hub.uploads.begin(sha256(b"whole").digest(), 5)
    status, headers = asked(hub, "PATCH", f"/v1/uploads/{upload.id}?offset=0", b"wh", b"o")
    assert (status, headers[b"connection"]) == (408, b"close")
    assert (upload.offset, upload.turn.locked()) == (3, False)


@pytest.mark.parametrize("path", ["datasets/x/batch", "datasets/x/annotations", "missing"])
def test_a_body_that_stands_still_is_given_up(hub, path):
    status, headers = asked(hub, "POST", f"/v1/{path}", b"{")
    assert (status, headers[b"connection"]) == (408, b"close")


def test_only_the_body_has_its_time(monkeypatch):
    """Whoever waits for an answer says nothing for as long as that takes."""
    monkeypatch.setattr(patience, "SILENCE", 0.0)
    ended = asyncio.Event()

    async def receive():
        if not ended.is_set():
            ended.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def told():
        with closing(Patience(receive)) as waiting:
            return [(await waiting.receive())["type"], (await waiting.receive())["type"]]

    assert asyncio.run(told()) == ["http.request", "http.disconnect"]


class Skipping(selectors.DefaultSelector):
    """A loop's time, which passes where the loop would wait, and at once."""

    now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0
        return super().select(None if timeout is None else 0)


class Loop(asyncio.SelectorEventLoop):
    """One that goes by such a time."""

    def __init__(self):
        self.clock = Skipping()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now


def timed(told):
    with closing(Loop()) as loop:
        return loop.run_until_complete(told(loop.clock))


def paced(seconds):
    """A body of which a piece comes every so many seconds."""

    async def receive():
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": b"x", "more_body": True}

    return closing(Patience(receive))


def test_a_body_that_goes_on_slowly_has_its_time_and_others_ends_are_theirs():
    async def told(_):
        with paced(patience.SILENCE / 4) as waiting:
            for _ in range(8):
                await waiting.receive()
            await asyncio.sleep(patience.SILENCE * 2)  # the hub is slow, not the body
            await waiting.receive()

    timed(told)


def test_a_body_is_given_up_in_its_time():
    async def told(time):
        with paced(patience.SILENCE * 2) as waiting, pytest.raises(HTTPException):
            await waiting.receive()
        return time.now

    assert patience.SILENCE <= timed(told) < patience.SILENCE + 1


def test_what_came_while_the_hub_stood_still_counts():
    async def told(time):
        with paced(patience.SILENCE / 4) as waiting:
            asyncio.get_running_loop().call_later(1, setattr, time, "now", 1000)
            assert (await waiting.receive())["body"] == b"x"
            assert time.now == 1000
            await waiting.receive()

    timed(told)


def test_whoever_ends_a_request_ends_it(monkeypatch):
    async def never():
        await asyncio.Event().wait()
        return {}

    async def told():
        with closing(Patience(never)) as waiting:
            ended = asyncio.create_task(waiting.receive())
            await asyncio.sleep(0)
            ended.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ended

    asyncio.run(told())
