"""Bodies from a remote on this machine, by the shortest way there is.

The standard library's client takes 30 µs of the processor for 200 KiB, httpx 135, and a mount
waits for every one of them. Used by `wire` for answers that are read as they come, on loopback
and without TLS only: whatever needs proxies or certificates goes by httpx.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit

BROKEN = (OSError, HTTPException)
"""Whatever a connection may raise."""
IDLE = 8


class Lane:
    """Connections to one address, kept while they can be used again; safe between threads."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []
        self.relocate(url)

    def relocate(self, url: str) -> None:
        """Later requests go to another address."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[HTTPResponse]:
        """Send a request; the answer is to be read within the block. Raises what is BROKEN."""
        connection, answer = self._asked(method, target, headers, body)
        try:
            yield answer
        finally:
            whole = answer.isclosed() and connection.sock is not None
            answer.close()
            if not (whole and self._kept(connection)):
                connection.close()

    def _asked(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[HTTPConnection, HTTPResponse]:
        while True:
            with self._lock:
                used = self._idle.pop() if self._idle else None
            connection = used or HTTPConnection(self._host, self._port, timeout=self._timeout)
            try:
                connection.request(method, target, body, dict(headers))
                return connection, connection.getresponse()
            except TimeoutError:
                connection.close()
                raise
            except BROKEN:
                connection.close()
                if used is None:  # else the other end had closed it, as it may
                    raise

    def _kept(self, connection: HTTPConnection) -> bool:
        with self._lock:
            here = (connection.host, connection.port) == (self._host, self._port)
            if here and len(self._idle) < IDLE:
                self._idle.append(connection)
                return True
        return False


def exactly(answer: HTTPResponse, length: int) -> bytes:
    """The next so many bytes; raises what is BROKEN where there are fewer."""
    data = answer.read(length)
    if len(data) != length:
        raise ConnectionError("the answer was broken off")
    return data


def pieces(answer: HTTPResponse, size: int) -> Iterator[bytes]:
    """The whole answer, in pieces of this size."""
    while piece := answer.read(size):
        yield piece
    if answer.length:
        raise ConnectionError("the answer was broken off")


class Arriving:
    """Bytes of an answer in the lengths they are asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self._at = 0

    def read(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._held):
            self._more(length)
            end = length
        found = self._held[self._at : end]
        self._at = end
        return found

    def _more(self, length: int) -> None:
        parts = [self._held[self._at :]]
        have = len(parts[0])
        while have < length:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise ConnectionError("the answer was broken off")
            parts.append(chunk)
            have += len(chunk)
        self._held, self._at = b"".join(parts), 0
