"""What every request passes before a route sees it, and every answer on its way out.

Plain ASGI, because it is on the way of every batch. The order matters: a foreign Host or Origin is
turned away before anything is looked at, then whoever is not known, then what is too long.
It also counts who is inside, so that an idle hub can stop and a stopping hub can wait.
"""

from __future__ import annotations

import json
import re
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncd.clock import Clock
from syncd.hub.auth import Auth

MIB = 1024 * 1024
MAX_BATCH = 64 * MIB
MAX_JSON = 4 * MIB
MAX_HEADERS = 100
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"/health", "/enter"})
_BATCH = re.compile(r"/v1/datasets/[^/]+/batch")
_UPLOAD = re.compile(r"/v1/uploads/[^/]+")
_COMMON = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class TooLongError(Exception):
    """A body went over its limit while it was read."""


class Gate:
    """The outermost ASGI app of a hub that answers to these `origins` ("http://host:port")."""

    def __init__(self, app: ASGIApp, *, auth: Auth, clock: Clock, origins: frozenset[str]) -> None:
        self._app = app
        self._auth = auth
        self._clock = clock
        self._origins = origins
        self._hosts = frozenset(origin.partition("//")[2] for origin in origins)
        self.cookie = cookie_name(origins)
        self.inside = 0
        self.last = clock.monotonic()
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        self.inside += 1
        try:
            await self._pass(scope, receive, _polite(send))
        finally:
            self.inside -= 1
            self.last = self._clock.monotonic()

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        refusal = self._refusal(scope, headers)
        limit = _limit(scope["path"])
        if refusal is None and limit and _length(headers) > limit:
            refusal = (413, f"the body is longer than {limit} bytes")
        if refusal is not None:
            return await refuse(send, *refusal)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, limited(receive, limit) if limit else receive, watched)
        except TooLongError:
            if started:
                raise
            await refuse(send, 413, f"the body is longer than {limit} bytes")

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        if len(scope["headers"]) > MAX_HEADERS:
            return 431, "too many headers"
        if _text(headers, b"host").lower() not in self._hosts:
            return 421, "this hub does not answer to that host name"
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in self._origins:
            return 403, "another site may not ask this hub"
        if self.draining:
            return 503, "the hub is stopping"
        if scope["path"] in OPEN:
            return None
        if b"authorization" in headers:
            if self._auth.bearer(headers[b"authorization"]):
                return None
            return 401, "that is not this hub's token"
        if not self._knows(headers):
            return 401, "a token is needed; the page is entered by a link from `syncd hub`"
        if scope["method"] not in SAFE and origin is None:
            return 403, "a change by cookie must say which page it comes from"
        return None

    def _knows(self, headers: dict[bytes, bytes]) -> bool:
        try:
            jar = SimpleCookie(_text(headers, b"cookie"))
        except CookieError:
            return False
        return self.cookie in jar and self._auth.cookie(jar[self.cookie].value)


def cookie_name(origins: frozenset[str]) -> str:
    """One name a port, for cookies do not tell ports apart and two hubs must not clash."""
    return "syncd-" + min(origin.rpartition(":")[2] for origin in origins)


async def refuse(send: Send, status: int, sentence: str) -> None:
    """Answer with the error form every answer of the hub uses."""
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status in (413, 503):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def limited(receive: Receive, limit: int) -> Receive:
    """The same body, but for TooLongError once it is longer than announced or allowed."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLongError
        return message

    return counted


def _limit(path: str) -> int | None:
    """None for parts of an upload: those are streamed, and their length is announced."""
    if _UPLOAD.fullmatch(path):
        return None
    return MAX_BATCH if _BATCH.fullmatch(path) else MAX_JSON


def _length(headers: dict[bytes, bytes]) -> int:
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _polite(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = list(message.get("headers", []))
            names = {name for name, _ in headers}
            headers += [pair for pair in _COMMON if pair[0] not in names]
            message = {**message, "headers": headers}
        await send(message)

    return with_headers
