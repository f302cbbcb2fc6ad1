"""The hub as one object: what the routes, the page and the server share.

It lives in the event loop's thread; whatever touches the disk runs on one of three small pools, so
that waiting writers can never keep readers out, nor what takes minutes keep out writers.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from syncd.clock import Clock, SystemClock
from syncd.hub import auth
from syncd.hub.auth import Auth
from syncd.hub.care import Care
from syncd.hub.feed import Bell
from syncd.hub.limits import RETENTION_DAYS
from syncd.hub.metrics import Metrics
from syncd.hub.seats import Seats
from syncd.hub.sizes import Sizes
from syncd.hub.store import Store
from syncd.hub.uploads import Uploads
from syncd.value import value

P = ParamSpec("P")
T = TypeVar("T")
WRITERS = 3
READERS = 4
BODIES = 1024**3
"""So many bytes of batches are taken in at a time: one may be 64 MiB."""


@value
class HubSettings:
    """How a hub is run. `port` 0 or None takes the last one used, else a free one; `idle_s` stops
    it when nobody asked for that long; `min_free` bytes of the disk stay free (None: 1 GiB or 2 %
    of the disk, whichever is less). Any address but this machine's own needs TLS or `insecure`."""

    data: Path
    host: str = "127.0.0.1"
    port: int | None = None
    address_file: Path | None = None
    idle_s: float | None = None
    min_free: int | None = None
    retention_days: float = RETENTION_DAYS
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    token_file: Path | None = None
    """Holds the token; without it the hub makes one in its data folder."""
    names: tuple[str, ...] = ()
    """Further host names it is reached by."""


class Hub:
    """One running hub; whoever made it holds the data folder's lock."""

    def __init__(self, settings: HubSettings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.bell = Bell()
        self.token = (
            auth.given(settings.token_file)
            if settings.token_file
            else auth.token(settings.data / "token")
        )
        self.auth = Auth(self.token, self.clock)
        self.store = Store(
            settings.data, clock=self.clock, min_free=settings.min_free, bell=self.bell.ring
        )
        self.uploads = Uploads(settings.data / "uploads", self.store)
        self.sizes = Sizes(self.store)
        self.metrics = Metrics(self.store)
        self.care = Care(self.store, self.uploads, settings.retention_days)
        self.seats = Seats(BODIES)
        self._writers = ThreadPoolExecutor(WRITERS, "syncd-hub-write")
        self._readers = ThreadPoolExecutor(READERS, "syncd-hub-read")
        self._digester = ThreadPoolExecutor(1, "syncd-hub-digest")

    @property
    def id(self) -> str:
        return self.store.catalogue.words["hub"]

    @property
    def generation(self) -> str:
        return self.store.catalogue.words["generation"]

    def close(self) -> None:
        """Finish what runs, then let go of everything."""
        self.care.stop()
        self._digester.shutdown()
        self._writers.shutdown()
        self._readers.shutdown()
        self.store.close()

    async def read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that only reads, off the loop."""
        return await _run(self._readers, functools.partial(call, *args, **kwargs))

    async def write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that may change the store, off the loop."""
        return await _run(self._writers, functools.partial(call, *args, **kwargs))

    async def digest(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that reads for minutes, off the loop, one after the other."""
        return await _run(self._digester, functools.partial(call, *args, **kwargs))


async def _run(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, call)
