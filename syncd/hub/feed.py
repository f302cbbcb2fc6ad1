"""Waiting for news: every commit rings, every long poll wakes and looks for itself.

The bell lives in the event loop's thread; `ring` may be called from any thread.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Bell:
    """Wakes whoever waits. One event per ring, so that a waiter that looked before it waits
    cannot miss a ring in between: it waits for the event it took before looking."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self.closed = False

    def attach(self) -> None:
        """Belong to the running loop."""
        self._loop = asyncio.get_running_loop()

    def ring(self) -> None:
        """Wake all who wait now."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._swap)

    def close(self) -> None:
        """Wake everybody for good: the hub stops. Called in the loop."""
        self.closed = True
        self._swap()

    def next(self) -> asyncio.Event:
        """The event the next ring will set."""
        return self._event

    def _swap(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within this time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
