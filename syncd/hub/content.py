"""Serving an item's bytes: whole or a range, and never as something a browser would run."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from syncd.hub import kinds
from syncd.hub.core import Hub
from syncd.hub.schema import ItemRow

CHUNK = 1024 * 1024
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class _Part(NamedTuple):
    """Which bytes are answered, and the headers that say so."""

    status: int
    first: int
    length: int
    headers: dict[str, str]


async def serve(hub: Hub, item: ItemRow, request: Request) -> Response:
    """Answer GET or HEAD for an item's content; ETag is the digest."""
    headers = {
        "etag": f'"{item.digest.hex()}"',
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-security-policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'",
    }
    if matches(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(status_code=304, headers=headers)
    fd, start, size = await hub.read(hub.store.open, item.digest)
    with ExitStack() as unless_sent:
        unless_sent.callback(os.close, fd)
        head = await hub.read(os.pread, fd, min(size, kinds.HEAD), start)
        part = _part(request, headers["etag"], size)
        headers |= labels(item.name, head) | part.headers
        if part.status == 416 or request.method == "HEAD":
            return Response(status_code=part.status, headers=headers)
        unless_sent.pop_all()
    return StreamingResponse(
        _chunks(hub, fd, start + part.first, part.length), part.status, headers
    )


def _part(request: Request, etag: str, size: int) -> _Part:
    """What is asked for: a range, unless it is one of another content, or all of it."""
    wanted = stretch(request.headers.get("range"), size)
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return _Part(200, 0, size, {"content-length": str(size)})
    first, length = wanted
    if not length:
        return _Part(416, 0, 0, {"content-range": f"bytes */{size}"})
    span = f"bytes {first}-{first + length - 1}/{size}"
    return _Part(206, first, length, {"content-range": span, "content-length": str(length)})


async def _chunks(hub: Hub, fd: int, at: int, length: int) -> AsyncIterator[bytes]:
    try:
        while length:
            chunk = await hub.read(os.pread, fd, min(CHUNK, length), at)
            if not chunk:
                raise OSError("the stored bytes are shorter than the catalogue says")
            at += len(chunk)
            length -= len(chunk)
            yield chunk
    finally:
        os.close(fd)


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names this etag."""
    named = [part.strip().removeprefix("W/") for part in header.split(",")]
    return etag in named or named == ["*"]


def stretch(header: str | None, size: int) -> tuple[int, int] | None:
    """The (first byte, length) a Range header asks for, without length where that lies outside;
    None where no range is asked for, or in a way that makes no sense to us."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    if last and int(last) < start:
        return None
    return start, max(0, min(int(last or size), size - 1) - start + 1)


def labels(name: str, head: bytes) -> dict[str, str]:
    """What to call the content: shown as it is only where that is harmless."""
    shown = kinds.inline(name, head)
    return {
        "content-type": shown or kinds.OCTETS,
        "content-disposition": f"{'inline' if shown else 'attachment'}; {file_name(name)}",
        "x-content-type-options": "nosniff",
    }


def file_name(name: str) -> str:
    """A name as RFC 5987 wants it: percent-encoded UTF-8, so that nothing can end the header."""
    return f"filename*=UTF-8''{quote(name, safe='')}"
