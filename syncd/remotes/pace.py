"""How fast one mirror may send: a token bucket for all its requests together.

Used by adapters where bodies leave, from several worker threads at once. Whoever waits here is
woken by `hold`, so a pause or the end of the daemon never waits for a slow line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from syncd.errors import TransientError

PIECE = 64 * 1024
BURST_S = 0.25
"""So long a line that was idle may send at full speed."""


class Pace:
    """Lets bytes pass at a rate, or not at all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._rate: float | None = None
        self._free_at = 0.0
        self._held: str | None = None
        self.passed = 0
        """Bytes that left so far, those of requests that failed or are under way too."""

    @property
    def free(self) -> bool:
        """Nothing is limited: a body may be sent as it is."""
        return self._rate is None and self._held is None

    def limit(self, rate: float | None) -> None:
        """So many bytes per second from now on; None is without a limit."""
        with self._lock:
            self._rate = rate
            self._free_at = 0.0

    def hold(self, reason: str) -> None:
        """Let nothing pass; what waits, or comes, is told so by a TransientError."""
        self._held = reason
        self._woken.set()

    def release(self) -> None:
        self._held = None
        self._woken.clear()

    def take(self, size: int) -> None:
        """Wait until `size` bytes may go. Raises TransientError while held."""
        wait = self._reserve(size)
        if self._held is None and wait > 0:
            self._woken.wait(wait)
        if self._held is not None:
            raise TransientError(self._held)

    def pieces(self, body: Iterable[bytes]) -> Iterator[bytes]:
        """The body, as it is or in smaller pieces, each when it may go; counted as it leaves."""
        for piece in body if self.free else self._allowed(body):
            yield piece
            with self._lock:
                self.passed += len(piece)

    def part(self, most: int) -> int:
        """How much to send in one request, so that it takes seconds and not minutes."""
        return most if self._rate is None else max(PIECE, min(most, int(self._rate * 4)))

    def _allowed(self, body: Iterable[bytes]) -> Iterator[bytes]:
        for piece in body:
            at = 0
            while some := piece[at : at + self._step()]:
                self.take(len(some))
                yield some
                at += len(some)

    def _step(self) -> int:
        """A second's worth at most: to the remote a body that stands still is one that was left."""
        return PIECE if self._rate is None else max(1, min(PIECE, int(self._rate)))

    def _reserve(self, size: int) -> float:
        with self._lock:
            if self._rate is None:
                return 0.0
            now = time.monotonic()
            self._free_at = max(self._free_at, now - BURST_S) + size / self._rate
            return self._free_at - now
