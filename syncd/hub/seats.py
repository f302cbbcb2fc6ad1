"""Bodies in memory, so many bytes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Seats:
    """Room for bodies that are taken in; counted in bytes, so that those who send little, slowly,
    keep nobody out. Belongs to the event loop's thread."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._line = asyncio.Lock()
        self._left = asyncio.Event()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Wait for this much room, in the order of coming, and have it within the block."""
        size = min(size, self._size)
        async with self._line:
            while self._free < size:
                self._left.clear()
                await self._left.wait()
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            self._left.set()
