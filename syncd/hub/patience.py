"""A body that stands still is not waited for: whoever sends it may have gone without a word."""

from __future__ import annotations

import asyncio
import math
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

SILENCE = 30.0
"""So many seconds it may stand still."""
MOMENT = 0.05
"""In which a hub that stood still itself, as with a paused machine, reads what came meanwhile."""


class Patience:
    """Receives the same body, but answers 408 once it stands still. One timer for the whole of it,
    not one for each piece: those of a big file are many."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._since = math.inf
        """When the wait for the next piece began; nobody waits: never."""
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = self._late = False

    async def receive(self) -> Message:
        if self._over:  # what comes after a body may take its time
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._task, self._since = asyncio.current_task(), loop.time()
        if self._timer is None:
            self._timer = loop.call_later(SILENCE, self._look)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if not self._late or self._task is None:
                raise
            self._task.uncancel()
            sentence = f"nothing more of the body came for {SILENCE:.0f} s"
            raise HTTPException(408, sentence, {"connection": "close"}) from None
        finally:
            self._since = math.inf
        if not message.get("more_body", False):
            self.close()
        return message

    def _look(self, *, again: bool = False) -> None:
        loop = asyncio.get_running_loop()
        left = self._since + SILENCE - loop.time()
        if left > 0:
            self._timer = loop.call_later(min(left, SILENCE), self._look)
        elif not again:
            self._timer = loop.call_later(MOMENT, partial(self._look, again=True))
        elif self._task:
            self._late = True
            self._task.cancel()

    def close(self) -> None:
        """The body is over, or whoever took it in wants no more of it."""
        self._over = True
        if self._timer:
            self._timer.cancel()
