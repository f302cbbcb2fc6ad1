"""Hears what changes at the remote and tells the mirror; one thread per mirror."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from syncd.engine.mirror import Mirror
from syncd.errors import DeniedError, RemoteError
from syncd.remotes.base import Feeds

log = logging.getLogger(__name__)

WAIT_S = 50.0
"""How long the remote may sit on a question before it says that nothing changed."""
PAUSES = (0.2, 1.0, 3.0, 10.0, 30.0)


class Feed:
    """Follows a dataset's change feed until stopped."""

    def __init__(self, mirror: Mirror, revive: Callable[[], None]) -> None:
        """`revive` is called where the remote does not answer: it may be one we can start."""
        self._mirror = mirror
        self._revive = revive
        self._stop = threading.Event()
        self._cursor = int(mirror.state.meta.get("cursor", 0))
        self._generation = mirror.state.meta.get("generation")
        self._in_touch = False
        """The first answer, and the first after a break, must not be waited for: it may be that
        of a remote that was restored meanwhile."""
        self._thread = threading.Thread(target=self._run, name="syncd-feed", daemon=True)

    def start(self) -> None:
        if isinstance(self._mirror.dataset, Feeds):
            self._thread.start()

    def stop(self) -> None:
        """Stop following; a question under way is left to itself, so this does not wait."""
        self._stop.set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._ask()
                failures = 0
            except DeniedError as error:
                self._mirror.post(error)
                return
            except RemoteError as error:
                self._in_touch = False
                if failures == 0:
                    log.warning("feed broken off reason=%s", error)
                self._stop.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
                self._wake()
            except Exception:
                if self._stop.is_set():
                    return  # The connection was closed under a question nobody waits for.
                log.exception("feed broke")
                self._stop.wait(PAUSES[-1])

    def _ask(self) -> None:
        dataset = self._mirror.dataset
        if isinstance(dataset, Feeds):
            changes = dataset.changes(self._cursor, wait=WAIT_S if self._in_touch else 0.0)
            self._in_touch = True
            if changes.generation != self._generation:
                # Another hub's history: its cursors are not ours.
                self._generation, self._cursor = changes.generation, 0
                self._mirror.post(changes)
                return
            if changes.items or changes.cursor != self._cursor or self._mirror.guard.closed:
                self._mirror.post(changes)
            self._cursor = changes.cursor

    def _wake(self) -> None:
        if self._stop.is_set():
            return
        try:
            self._revive()
        except Exception as error:
            # Whatever hinders the start is the remote's trouble: it is asked again.
            log.warning("remote not revived reason=%s", error)
