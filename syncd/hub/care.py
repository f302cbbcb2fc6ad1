"""What the hub does for itself, in a thread of its own: time limits, leftovers, dead bytes.

Once a minute after the start, then hourly, and soon after something was deleted for good.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from syncd.hub import room, trash
from syncd.hub.limits import UNUSED_DAYS
from syncd.hub.store import Store
from syncd.hub.uploads import Uploads

log = logging.getLogger(__name__)
FIRST_SECONDS = 60.0
PERIOD_SECONDS = 3600.0
UNUSED_NS = UNUSED_DAYS * 86_400 * 10**9


class Care:
    """The thread; `stop` waits for the step it is at."""

    def __init__(self, store: Store, uploads: Uploads, retention_days: float) -> None:
        self._store = store
        self._uploads = uploads
        self._days = retention_days
        self._wake = threading.Condition()
        self._dirty = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="syncd-hub-care", daemon=True)
        self._thread.start()

    def note(self) -> None:
        """Something was deleted for good: its room is to come back within a minute."""
        with self._wake:
            self._dirty = True
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join()

    def tend(self) -> None:
        """All of it once, or as much as there is time for."""
        store, now_ns = self._store, self._store.clock.now_ns
        steps: tuple[Callable[[], object], ...] = (
            lambda: trash.expire(store, self._days),
            lambda: room.drop_unused(store, now_ns() - UNUSED_NS),
            lambda: self._uploads.sweep(now_ns() / 1e9),
            lambda: room.reclaim(store, lambda: self._stopped),
        )
        for step in steps:
            if not self._stopped:
                step()

    def _run(self) -> None:
        pause = FIRST_SECONDS
        while self._waited(pause):
            pause = PERIOD_SECONDS
            try:
                self.tend()
            except Exception:
                log.exception("tidying up failed; the next try is in an hour")

    def _waited(self, seconds: float) -> bool:
        """Wait, less long once something is dirty; whether the thread is to go on."""
        with self._wake:
            self._wake.wait_for(lambda: self._dirty or self._stopped, seconds)
            if self._dirty:
                self._wake.wait_for(lambda: self._stopped, FIRST_SECONDS)
            self._dirty = False
            return not self._stopped
