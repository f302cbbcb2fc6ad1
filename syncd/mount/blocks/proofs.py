"""Big files held against their digests, once all their blocks are in the cache.

One thread at a time looks at a file: of two, the one behind would mix the bytes that the other gave
up with those that were fetched since, and give up these as well.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from hashlib import sha256

from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK, BlockCache

log = logging.getLogger(__name__)
BAD_SECONDS = 30.0
"""A big file that was not what its digest says is not tried again for so long."""


class Proofs:
    """The proofs of one reader; safe between threads."""

    def __init__(self, cache: BlockCache, rest: Callable[[], bool]) -> None:
        """`rest` lets others go first between two blocks; true where all is over."""
        self._cache = cache
        self._rest = rest
        self._lock = threading.Lock()
        self._wanted: set[str] = set()
        self._at: set[str] = set()
        self._bad: dict[str, float] = {}

    def bad(self, name: str) -> bool:
        """Whether it was just found not to be what its digest says."""
        return bool(self._bad) and self._bad.get(name, 0) > time.monotonic()

    def prove(self, item: Item, name: str) -> None:
        """Hold a file against its digest if all its blocks are here; where another thread is at
        it, that one looks once more."""
        self._wanted.add(name)
        while name in self._wanted and self._begun(name):
            try:
                self._wanted.discard(name)
                self._look(item, name)
            finally:
                self._at.discard(name)

    def _begun(self, name: str) -> bool:
        with self._lock:
            free = name not in self._at
            self._at.add(name)
            return free

    def _look(self, item: Item, name: str) -> None:
        cache, count = self._cache, -(-(item.size or 0) // BLOCK)
        if not item.digest or len(cache.blocks(name)) < count or cache.whole(name):
            return
        hasher = sha256()
        for block in range(count):
            data = cache.read(name, block, 0, BLOCK)
            if data is None or self._rest():
                return
            hasher.update(data)
        if hasher.hexdigest() == item.digest:
            cache.mark_whole(name, count)
            return
        cache.forget(name)
        log.error("the bytes of %s are not those of its digest", item.key)
        self._bad[name] = time.monotonic() + BAD_SECONDS
