"""A proxy of our own in front of a real hub, that spoils one request of each kind, once.

It knows the requests of the protocol by method and address; what it does to one is a `Fault`. All
that it does not spoil goes through as it is, so whatever then is at the hub is what the hub did.
"""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

FROZEN_S = 1.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Request:
    """What a client asks; `pass_on` has the hub answer it."""

    kind: str
    pass_on: Callable[[], Answer]


Fault = Callable[[Request], Answer | None]
"""What becomes of a request; no answer: the connection is cut."""


def says(status: int, body: bytes = b'{"error": "spoiled"}', **headers: str) -> Fault:
    """The hub never hears of it, and this is what the client gets."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Answer(status, told, body)


def cut_before(request: Request) -> None:
    """The hub never hears of it, and nobody answers."""


def cut_after(request: Request) -> None:
    """The hub does it, and its answer is lost."""
    request.pass_on()


def frozen(request: Request) -> None:
    """Nobody answers for a while, and then the connection ends."""
    threading.Event().wait(FROZEN_S)


def torn(request: Request) -> Answer:
    """The hub does it, and half of its answer arrives."""
    answer = request.pass_on()
    return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])


@dataclass
class Proxy:
    """Where clients find it, what they asked, and what it has spoiled so far."""

    url: str
    asked: list[str]
    spoiled: set[str]


@contextmanager
def before(hub: str, fault: Fault, kinds: set[str]) -> Iterator[Proxy]:
    """Stand before a hub and spoil the first request of each of these kinds."""
    with _Server(urlsplit(hub).netloc, fault, kinds) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            yield Proxy(url, server.asked, server.spoiled)
        finally:
            server.shutdown()
            thread.join()
            server.hang_up()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, hub: str, fault: Fault, kinds: set[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.hub = hub
        self.asked: list[str] = []
        self.spoiled: set[str] = set()
        self.open: set[socket.socket] = set()
        self._fault = fault
        self._kinds = kinds
        self._lock = threading.Lock()

    def fault_for(self, kind: str) -> Fault | None:
        with self._lock:
            self.asked.append(kind)
            if kind not in self._kinds - self.spoiled:
                return None
            self.spoiled.add(kind)
            return self._fault

    def hang_up(self) -> None:
        """End what still waits on either side."""
        for one in tuple(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError, http.client.HTTPException), self._kept(self.request):
            while self._one():
                pass

    @contextmanager
    def _kept(self, one: socket.socket) -> Iterator[None]:
        self.server.open.add(one)
        try:
            yield
        finally:
            self.server.open.discard(one)

    def _one(self) -> bool:
        """Serve one request; whether another may follow."""
        line = self.rfile.readline().decode()
        if not line:
            return False
        method, address, _ = line.split(" ")
        headers = http.client.parse_headers(self.rfile)
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        kind = f"{method} {_kind(address)}"

        def pass_on() -> Answer:
            return self._forward(method, address, dict(headers), body)

        request = Request(kind, pass_on)
        fault = self.server.fault_for(kind)
        answer = fault(request) if fault else pass_on()
        if answer is None:
            return False
        self._answer(answer)
        return True

    def _forward(self, method: str, address: str, headers: dict[str, str], body: bytes) -> Answer:
        link = http.client.HTTPConnection(self.server.hub, timeout=90)
        link.connect()
        try:
            with self._kept(link.sock):
                link.request(method, address, body or None, headers | {"Host": self.server.hub})
                answer = link.getresponse()
                return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            link.close()

    def _answer(self, answer: Answer) -> None:
        length = {"Content-Length": str(len(answer.body))}
        lines = [f"HTTP/1.1 {answer.status} X"]
        lines += [f"{name}: {value}" for name, value in ({**length, **answer.headers}).items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)


def _kind(address: str) -> str:
    """The kind of an address: `batch` of `/v1/datasets/7/batch`, `uploads` of `/v1/uploads/7`."""
    parts = [part for part in urlsplit(address).path.split("/") if part][1:]
    return "/".join(parts[:1] if len(parts) < 3 else parts[2:])
