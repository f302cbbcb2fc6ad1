"""What every request passes before a route sees it, and every answer on its way out.

Plain ASGI, because it is on the way of every batch. The order matters: a foreign Host or Origin is
turned away before anything is looked at, then whoever is not known, then what is too long.
It also counts who is inside, so that an idle hub can stop and a stopping hub can wait.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncd.hub.auth import Auth
from syncd.hub.patience import Patience
from syncd.value import value

MIB = 1024 * 1024
MAX_BATCH = 64 * MIB
MAX_ANNOTATIONS = 16 * MIB
MAX_JSON = 4 * MIB
MAX_HEADERS = 100
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"/health", "/enter", "/"})
STATIC = "/static/"
"""The page's own files are open too: they hold nothing secret, and tell a stranger the way in."""
_BATCH = re.compile(r"/v1/datasets/[^/]+/batch")
_ANNOTATIONS = re.compile(r"/v1/datasets/[^/]+/annotations")
_UPLOAD = re.compile(r"/v1/uploads/[^/]+")
_COMMON = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
Seen = Callable[[str, int, float], None]


@value
class Hosts:
    """The names a hub answers to: this machine's own at `port`, and the ones it was started for.

    A browser that was led here under a foreign name (DNS rebinding) says that name, so an address
    in digits needs no list where the hub may be reached from outside at all (`any_address`)."""

    port: int
    names: frozenset[str] = frozenset()
    any_address: bool = False

    def known(self, host: str) -> bool:
        name, port = _apart(host.lower())
        if name in ("127.0.0.1", "localhost", "[::1]"):
            return port == str(self.port) or (not port and self.port in (80, 443))
        return name in self.names or (self.any_address and _is_address(name))


class Gate:
    """The outermost ASGI app of a hub."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        auth: Auth,
        hosts: Hosts,
        cookie: str,
        seen: Seen,
    ) -> None:
        self._app = app
        self._auth = auth
        self._hosts = hosts
        self._cookie = cookie
        self._seen = seen
        self.inside = 0
        self.last = time.monotonic()
        """When somebody who was let in last began to ask."""
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        answer = _Answer(send)
        started = time.monotonic()
        try:
            await self._pass(scope, receive, answer.send)
        finally:
            call = getattr(scope.get("route"), "path", "none")
            self._seen(call, answer.status, time.monotonic() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        refusal = self._refusal(scope, headers)
        limit = _limit(scope["path"])
        if refusal is None and limit and _length(headers) > limit:
            refusal = (413, f"the body is longer than {limit} bytes")
        if refusal is not None:
            await refuse(send, *refusal)
            return
        with closing(Patience(receive)) as patient:
            taken = receive if scope["method"] in SAFE else patient.receive
            await self._used(scope, limited(taken, limit) if limit else taken, send)

    async def _used(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only what is let in is use: strangers must not keep an idle hub.

        Nor may the end of a question whose asker has gone meanwhile. Who is still there while it is
        answered is seen by the server, which knows the connections."""
        self.inside += 1
        self.last = time.monotonic()
        try:
            await self._app(scope, receive, send)
        finally:
            self.inside -= 1

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if len(scope["headers"]) > MAX_HEADERS:
            return 431, "too many headers"
        host = _text(headers, b"host")
        if not self._hosts.known(host):
            return 421, "this hub does not answer to that host name"
        origin = headers.get(b"origin")
        if origin is not None and not _same_place(origin.decode("latin-1"), host):
            return 403, "another site may not ask this hub"
        if self.draining:
            return 503, "the hub is stopping"
        if scope["path"] in OPEN or scope["path"].startswith(STATIC):
            return None
        return self._stranger(scope, headers)

    def _stranger(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if b"authorization" in headers:
            if self._auth.bearer(headers[b"authorization"]):
                return None
            return 401, "that is not this hub's token"
        if not any(map(self._auth.cookie, _cookies(_text(headers, b"cookie"), self._cookie))):
            return 401, "a token is needed; the page is entered by the link that `syncd open` gives"
        if scope["method"] not in SAFE and b"origin" not in headers:
            return 403, "a change by cookie must say which page it comes from"
        return None


class _Answer:
    """What goes out: with the headers every answer has, and its status remembered."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[Any] = list(message.get("headers", []))
            names = {name for name, _ in headers}
            headers += [pair for pair in _COMMON if pair[0] not in names]
            message = {**message, "headers": headers}
        await self._send(message)


async def refuse(send: Send, status: int, sentence: str) -> None:
    """Answer in the form of all the hub's errors.

    The line is cut only where the rest would be too much: whoever is cut off while sending may
    never read the answer, and would try again."""
    body = json.dumps({"error": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if status in (413, 431, 503):
        headers.append((b"connection", b"close"))
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def limited(receive: Receive, limit: int) -> Receive:
    """The same body, but for 413 once it is longer than allowed, whatever it announced."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(413, f"the body is longer than {limit} bytes")
        return message

    return counted


def _limit(path: str) -> int | None:
    """None for parts of an upload: those are streamed, and end where the file ends."""
    if _UPLOAD.fullmatch(path):
        return None
    if _ANNOTATIONS.fullmatch(path):
        return MAX_ANNOTATIONS
    return MAX_BATCH if _BATCH.fullmatch(path) else MAX_JSON


def _length(headers: dict[bytes, bytes]) -> int:
    text = headers.get(b"content-length", b"0")
    return int(text) if len(text) < 20 and text.isdigit() else 0


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _cookies(header: str, name: str) -> list[str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return [value for key, _, value in pairs if key == name]


def _same_place(origin: str, host: str) -> bool:
    scheme, _, place = origin.lower().partition("://")
    return scheme in ("http", "https") and place == host.lower()


def _apart(host: str) -> tuple[str, str]:
    """A Host header's name and port; an address of version 6 keeps its brackets."""
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    return (name, port) if name else (host, "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
