"""Answers of a server that misbehaves, each turned into the error that says what to do."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from syncd.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    GarbledError,
    MissingError,
    NoRoomError,
    RejectedError,
    SyncdError,
    TransientError,
)
from syncd.model import Item
from syncd.remotes.hub import HubRemote
from syncd.remotes.wire import Wire

Answer = Callable[[socket.socket], None]

PATIENT_S, SHORT_S = 10.0, 0.5
"""For an answer that comes, though its thread may wait for its turn, and for one that does not."""


class Server:
    """Answers every request as it is told to; `seen` are the heads of the requests."""

    def __init__(self) -> None:
        self.answer: Answer = say(200, b"{}")
        self.seen: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            connection.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            connection.settimeout(5)
            data = b""
            while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
                data += more
            self.seen.append(data.partition(b"\r\n\r\n")[0].decode())
            self.answer(connection)


def say(status: int, body: bytes, *headers: str, length: int | None = None) -> Answer:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {size}", "Connection: close", *headers]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(data: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    return answer


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang(connection: socket.socket) -> None:
    """Say nothing, and keep the line."""


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as made:
        yield made


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with closing(Wire(server.url, "secret", timeout=PATIENT_S)) as made:
        yield made


def failure(wire: Wire) -> SyncdError:
    with pytest.raises(SyncdError) as caught:
        wire.json("GET", "/x")
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (reset, TransientError, "does not answer"),
        (raw(b""), TransientError, "does not answer"),
        (raw(b"\x00\x01 no http at all\r\n\r\n"), TransientError, "does not answer"),
        (raw(b"HTTP/1.1 200 So\r\nContent-"), TransientError, "does not answer"),
        (say(200, b'{"a": 1', length=1000), TransientError, "does not answer"),
        (say(200, b"<html>login</html>"), GarbledError, "no JSON: '<html>login"),
        (say(200, b"\xff\xfe\x00"), GarbledError, "no JSON"),
        (say(200, b"[1]"), GarbledError, "no JSON object"),
        (say(200, b""), GarbledError, "no JSON"),
        (say(200, b"[" * 100_000), GarbledError, "no JSON"),
        (say(204, b""), GarbledError, "no JSON"),
        (say(302, b"", "Location: http://127.0.0.1:9/elsewhere"), GarbledError, "elsewhere"),
        (say(401, b'{"error": "no such token"}'), DeniedError, "no such token"),
        (say(403, b""), DeniedError, "HTTP status 403"),
        (say(404, b'{"error": "no such dataset"}'), MissingError, "no such dataset"),
        (say(404, b"<h1>nothing here</h1>"), TransientError, "is no syncd hub"),
        (say(404, b'{"detail": "Not Found"}'), TransientError, "is no syncd hub"),
        (say(404, b'{"error": {"code": 5}}'), TransientError, "is no syncd hub"),
        (say(405, b""), TransientError, "is no syncd hub"),
        (say(409, b'{"error": "not so"}'), ConflictError, "not so"),
        (say(400, b'{"error": "bad"}'), RejectedError, "bad"),
        (say(413, b"{}"), RejectedError, "HTTP status 413"),
        (say(422, b'{"error": 5}'), RejectedError, "HTTP status 422"),
        (say(408, b""), TransientError, "HTTP status 408"),
        (say(429, b""), TransientError, "HTTP status 429"),
        (say(500, b"Traceback"), TransientError, "HTTP status 500"),
        (say(503, b""), TransientError, "HTTP status 503"),
        (say(507, b'{"error": "full"}'), NoRoomError, "full"),
    ],
)
def test_what_went_wrong(server, wire, answer, kind, text):
    server.answer = answer
    error = failure(wire)
    assert type(error) is kind
    assert text in str(error)
    assert "secret" not in f"{error!r} {error}"


@pytest.mark.parametrize(
    "answer", [say(n, b"") for n in (200, 302, 403, 404, 429, 500, 501)] + [say(200, b"[1]")]
)
def test_what_a_hub_would_not_say_is_told_with_the_address(server, wire, answer):
    server.answer = answer
    assert server.url in failure(wire).message


def test_it_does_not_wait_for_ever(server):
    server.answer = hang
    began = time.monotonic()
    with closing(Wire(server.url, "secret", timeout=SHORT_S)) as impatient:
        error = failure(impatient)
    assert time.monotonic() - began < 20
    assert type(error) is TransientError
    assert "does not answer" in str(error)
    assert "secret" not in f"{error!r} {error}"


def test_a_wait_that_was_agreed_on_is_waited_for(server):
    def late(connection: socket.socket) -> None:
        time.sleep(1)
        say(200, b'{"late": true}')(connection)

    server.answer = late
    with closing(Wire(server.url, "t", timeout=SHORT_S)) as impatient:
        assert impatient.json("GET", "/x", wait=PATIENT_S) == {"late": True}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("-3", 0.0), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", None)],
)
def test_retry_after(server, wire, header, seconds):
    server.answer = say(429, b"", f"Retry-After: {header}")
    error = failure(wire)
    assert isinstance(error, TransientError)
    assert error.retry_after == seconds
    assert not error.answered


@pytest.mark.parametrize("header", ["nan", "inf", "1e999"])
def test_a_retry_after_that_is_no_number(server, wire, header):
    server.answer = say(503, b"", f"Retry-After: {header}")
    error = failure(wire)
    assert isinstance(error, TransientError)
    assert error.retry_after is None


def test_only_a_500_tells_that_another_batch_may_fare_better(server, wire):
    for status, answered in ((500, True), (502, False), (503, False), (429, False)):
        server.answer = say(status, b"")
        error = failure(wire)
        assert isinstance(error, TransientError)
        assert error.answered is answered


def test_a_token_is_not_carried_to_where_a_redirect_leads(server, wire):
    with closing(Server()) as elsewhere:
        server.answer = say(307, b"", f"Location: {elsewhere.url}/x")
        assert isinstance(failure(wire), GarbledError)
        assert elsewhere.seen == []
    assert "Authorization: Bearer secret" in server.seen[0].replace(
        "authorization", "Authorization"
    )


def test_nobody_listens(wire, server):
    port = server.url
    with closing(Wire("http://127.0.0.1:1", "t", timeout=PATIENT_S)) as nowhere:
        assert type(failure(nowhere)) is TransientError
        nowhere.relocate(port, "other")
        server.answer = say(200, b'{"ok": true}')
        assert nowhere.json("GET", "/x") == {"ok": True}
    assert "Bearer other" in server.seen[0]


@pytest.mark.parametrize(
    "url", ["ftp://x", "x", "", "http://", "file:///etc/passwd", "http://[::1", "http://a:99999"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match="not an http or https address"):
        Wire(url, "t")


def test_an_address_with_a_password_is_refused_without_showing_it():
    with pytest.raises(ConfigError, match="holds no name or password") as told:
        Wire("https://me:hunter2@127.0.0.1:1", "t")
    assert "hunter2" not in str(told.value)


def test_proxies_of_the_environment_are_not_asked_for_this_machine(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.answer = say(200, b"{}")
    with closing(Wire(server.url, "t", timeout=PATIENT_S)) as direct:
        assert direct.json("GET", "/x") == {}


def test_a_stream_that_is_cut(server, wire):
    server.answer = say(200, b"half", length=1000)
    with pytest.raises(TransientError):
        b"".join(wire.stream("/x"))


def test_a_range_that_is_answered_with_the_whole(server, wire):
    server.answer = say(200, b"0123456789")
    with pytest.raises(GarbledError, match="range"):
        b"".join(wire.stream("/x", offset=5))


def test_a_connection_is_kept_after_a_whole_answer(server, wire):
    answers = iter([b"one", b"two"])

    def twice(connection):
        for body in answers:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body)
            if body == b"one":
                connection.recv(65536)

    server.answer = twice
    assert b"".join(wire.stream("/1")) == b"one"
    assert b"".join(wire.stream("/2")) == b"two"
    assert len(server.seen) == 1


def test_long_answers_of_others_come_by_the_proxy_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    server.answer = say(200, b"bytes")
    with closing(Wire("http://hub.example:8080", "t", timeout=PATIENT_S)) as far:
        assert b"".join(far.stream("/x", query={"digest": "a b"})) == b"bytes"
    assert server.seen[0].startswith("GET http://hub.example:8080/x?digest=a+b HTTP/1.1")
    assert "Authorization: Bearer t" in server.seen[0]


def test_a_proxy_is_asked_for_a_way_through_with_its_own_credentials(server, monkeypatch):
    at = server.url.removeprefix("http://")
    monkeypatch.setenv("https_proxy", f"http://me:p%40ss@{at}")
    server.answer = raw(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    far = Wire("https://hub.example", "secret", timeout=PATIENT_S)
    with closing(far), pytest.raises(TransientError, match="403"):
        b"".join(far.stream("/x"))
    assert server.seen[0].startswith("CONNECT hub.example:443")
    assert "Proxy-Authorization: Basic bWU6cEBzcw==" in server.seen[0]
    assert "secret" not in server.seen[0]


# --- the hub's answers ----------------------------------------------------------------------------


@pytest.fixture
def remote(server: Server) -> Iterator[HubRemote]:
    with closing(HubRemote(server.url, "secret")) as made:
        yield made


GOOD = {
    "id": "1", "dataset": "d", "folder": "/a", "name": "1.jpg", "size": 1, "sha256": "0" * 64,
    "content_type": "", "modified": "", "modified_ns": 1, "stored_ns": 1, "version": 1,
    "state": "present", "by": "", "metadata": {},
}  # fmt: skip


def opened(server, remote):
    server.answer = say(200, json.dumps({"id": "d", "name": "pets"}).encode())
    return remote.open("pets", create=True)


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"items": None}, {"items": {}}, {"items": [1]}, {"items": [{}]}, {"items": [None]},
        {"items": [GOOD | {"state": "odd"}]}, {"items": [GOOD | {"folder": None}]},
        {"items": [{k: v for k, v in GOOD.items() if k != "id"}]},
    ],
)  # fmt: skip
def test_listings_that_make_no_sense(server, remote, answer):
    dataset = opened(server, remote)
    server.answer = say(200, json.dumps(answer).encode())
    with pytest.raises(GarbledError):
        list(dataset.items())


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"results": None}, {"results": []}, {"results": [1]}, {"results": [{}]},
        {"results": [{"status": "odd"}]}, {"results": [{"status": "stored"}] * 2},
        {"results": [{"status": "stored", "item": {"id": 1}}]},
    ],
)  # fmt: skip
def test_outcomes_that_make_no_sense(server, remote, answer):
    from tests.remotes.asking import upload

    dataset = opened(server, remote)
    server.answer = say(200, json.dumps(answer).encode())
    with pytest.raises(GarbledError):
        dataset.put([upload("1.jpg", b"x")])


@pytest.mark.parametrize("answer", [{}, {"items": [], "cursor": "5"}, {"items": 5, "cursor": 1}])
def test_changes_that_make_no_sense(server, remote, answer):
    dataset = opened(server, remote)
    server.answer = say(200, json.dumps(answer).encode())
    with pytest.raises(GarbledError):
        dataset.changes(0)


@pytest.mark.parametrize("answer", [{}, {"id": "1"}, {"id": "1", "name": "x", "items": "many"}])
def test_datasets_that_make_no_sense(server, remote, answer):
    server.answer = say(200, json.dumps(answer).encode())
    with pytest.raises(GarbledError):
        remote.open("pets", create=True)


@pytest.mark.parametrize(
    "answer", [{}, {"a": 1}, {"datasets": None}, {"datasets": {}}, {"datasets": [1]}]
)
def test_lists_of_datasets_that_make_no_sense(server, remote, answer):
    server.answer = say(200, json.dumps(answer).encode())
    with pytest.raises(GarbledError):
        list(remote.datasets())


def test_a_server_that_knows_none_of_it_does_not_lack_a_dataset(server, remote):
    """Nor is it asked in vain of one file alone: it is away as a whole."""
    server.answer = say(404, b"<h1>nothing here</h1>")
    for create in (False, True):
        with pytest.raises(TransientError, match="is no syncd hub") as told:
            remote.open("pets", create=create)
        assert not told.value.answered


def test_reading_is_by_id_and_names_are_quoted(server, remote):
    dataset = opened(server, remote)
    server.answer = say(206, b"678")
    item = Item(key="a/1.jpg", id="id-1")
    assert b"".join(dataset.read(item, 6, 3)) == b"678"
    assert "GET /v1/items/id-1/content" in server.seen[-1]
    assert "bytes=6-8" in server.seen[-1]
    server.answer = say(404, b"{}")
    with pytest.raises(SyncdError):
        remote.open("a b/ä?#", create=False)
    assert "GET /v1/datasets/a%20b%2F%C3%A4%3F%23 " in server.seen[-1]
