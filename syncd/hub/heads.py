"""HTTP heads that end: without this the parser would collect an endless header in memory,
before anybody could ask for a token. And bodies that are not copied more than they must be."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024


class HeadLimited(HttpToolsProtocol):
    """uvicorn's protocol, hanging up on whoever sends much that is neither a head nor a body."""

    _unfinished = 0
    _progress = False

    def data_received(self, data: bytes) -> None:
        self._progress = False
        super().data_received(data)
        self._unfinished = 0 if self._progress else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_headers_complete(self) -> None:
        self._progress = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._progress = True
        if len(body) > HIGH_WATER_LIMIT and not self.cycle.body:
            # uvicorn adds it to a bytearray, and copies that when it is asked for: 60 µs of 256 kB.
            cast(Any, self.cycle).body = b""
        super().on_body(body)
