"""Watches one mirror until told to stop: events, feed, commands, sweeps, all into one loop."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from syncd.daemon.control import ControlSocket, of_mirror_thread
from syncd.daemon.feed import Feed
from syncd.daemon.rest import Rest
from syncd.daemon.room import tidy
from syncd.daemon.shorten import shorten_logs
from syncd.engine.mirror import Doubt, Mirror, Nudge
from syncd.engine.opening import Target, opened
from syncd.engine.options import Options
from syncd.engine.session import bind
from syncd.errors import SyncdError, TransientError
from syncd.local.watch import Coverage, Watcher
from syncd.remotes.base import Remote

log = logging.getLogger(__name__)

TICK_S = 1.0
SWEEP_S = 3600.0
JITTER = 0.25
BURST = 200
REST_S = 10.0
"""After a burst of that many hints a scan follows, but not more often than this."""
TIDY_S = 600.0
"""How often, while nothing else is to do, what is too old is dropped; where there is always
something to do, six times as rarely."""
POLL_S = 15.0
"""Between scans where events are not to be had; more where a scan takes long."""


class _DeletedError(Exception):
    """The state file is not there any more; what is written goes nowhere."""


class Told(Protocol):
    """Hears about once a second that the mirror took its turns and its watch was looked at."""

    def tick(self) -> None: ...


class Watching:
    """One mirror in a thread of its own."""

    def __init__(
        self,
        target: Target,
        remote: Remote,
        mirrors: Path,
        *,
        revive: Callable[[], None],
        ready: Callable[[Mirror], Told],
        ended: Callable[[Watching], None],
    ) -> None:
        """`revive` starts the remote again where it is ours to start, `ready` says that the
        mirror is open, `ended` that this thread is over; all are called from it."""
        self.target = target
        self.error: SyncdError | None = None
        self.tried = time.monotonic()
        """When it was begun, or tried to open the mirror once more."""
        self._remote = remote
        self._mirrors = mirrors
        self._revive = revive
        self._ready = ready
        self._ended = ended
        self._stop = threading.Event()
        self._mirror: Mirror | None = None
        self._thread = threading.Thread(target=self._guarded, name="syncd-mirror")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the loop to end; `join` waits for it."""
        self._stop.set()
        if self._mirror:
            self._mirror.post(Nudge())

    def join(self, timeout: float | None = None) -> bool:
        """Whether the loop has ended, or was never begun."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _guarded(self) -> None:
        try:
            self._run_until_told()
        except SyncdError as error:
            self.error = error
        except Exception as error:
            log.exception("mirror broke root=%s", self.target.root)
            self.error = SyncdError(f"unexpected fault: {error!r}", path=str(self.target.root))
        finally:
            self._ended(self)

    def _run_until_told(self) -> None:
        pause = 1.0
        while not self._stop.is_set():
            self.tried = time.monotonic()
            try:
                self._run()
                return
            except TransientError as error:
                # Only the opening gets here: once it runs, the mirror itself waits and retries.
                log.warning("remote not reachable reason=%s retry_s=%.0f", error, pause)
                if self._stop.wait(pause):
                    return
                pause = min(pause * 2, 60.0)
                with suppress(SyncdError):
                    self._revive()
            except _DeletedError:
                log.warning("state file deleted root=%s: scanning anew", self.target.root)

    def _run(self) -> None:
        with opened(self.target, self._remote, self._mirrors, removes=True) as mirror:
            bind(mirror)
            self._mirror = mirror
            watcher = Watcher(
                self.target.root, mirror.post, lambda reason: mirror.post(Doubt(reason=reason))
            )
            feed = Feed(mirror, self._revive)
            control = ControlSocket(
                self.target.folder(self._mirrors), of_mirror_thread(mirror.post),
                str(self.target.root),
            )  # fmt: skip
            try:
                control.start()
                loop = _Loop(mirror, watcher, self.target.options, self._mirrors.parent)
                feed.start()
                loop.run(self._stop, self._ready(mirror))
            finally:
                feed.stop()
                watcher.stop()
                control.stop()


class _Loop:
    """The mirror's turns, and what has to be looked at now and then."""

    def __init__(self, mirror: Mirror, watcher: Watcher, options: Options, state: Path) -> None:
        self._mirror = mirror
        self._watcher = watcher
        self._rest = Rest(mirror, options.hours)
        self._history_days = options.history_days
        self._state = state
        self._tick = 0.0
        self._tidied = 0.0
        self._sweep_at = 0.0
        self._compare_at = 0.0
        self._heard = 0
        self._rested = 0.0
        self._coverage = watcher.start()
        self._say(self._coverage)

    def run(self, stop: threading.Event, told: Told) -> None:
        mirror = self._mirror
        self._rest.check()
        self._sweep(mirror.clock.monotonic())
        self._compare(mirror.clock.monotonic())
        while not stop.is_set():
            mirror.turn(mirror.wait_for(TICK_S))
            if mirror.settlement.denied:
                raise mirror.settlement.denied
            now = mirror.clock.monotonic()
            if now >= self._tick:
                self._tick = now + TICK_S
                self._look_around(now)
                told.tick()
        told.tick()

    def _look_around(self, now: float) -> None:
        self._rest.check()
        if not self._mirror.state.there:
            raise _DeletedError
        since = now - self._tidied
        if since >= 6 * TIDY_S or (since >= TIDY_S and self._mirror.quiet):
            self._tidied = now
            tidy(self._mirror, self._history_days)
            shorten_logs(self._state)
        coverage = self._watcher.check()
        if coverage != self._coverage:
            self._coverage = coverage
            self._say(coverage)
        closed = self._mirror.guard.closed
        if closed is not None and self._mirror.guard.check() is None:
            self._sweep_at = self._compare_at = now
        if now >= self._sweep_at and not self._mirror.sweeping:
            self._sweep(now)
        elif self._burst_is_over(now):
            self._mirror.sweep()
        if now >= self._compare_at:
            self._compare(now)

    def _burst_is_over(self, now: float) -> bool:
        """So many events came that some may have been of things not there yet, as a link is
        whose target comes later; now it is calm, and the last scan is a while ago."""
        heard, self._heard = self._heard, self._mirror.hints
        if heard < BURST or heard != self._heard or self._mirror.sweeping:
            return False
        calm = max(REST_S, 20 * self._mirror.sweep_seconds)
        if now - self._rested < calm:
            return False
        self._rested = now
        return True

    def _sweep(self, now: float) -> None:
        self._mirror.sweep()
        if self._coverage.events:
            self._sweep_at = now + _hourly()
        else:
            self._sweep_at = now + max(POLL_S, 20 * self._mirror.sweep_seconds)

    def _compare(self, now: float) -> None:
        """Hold the receipts against all the remote has, whether events are to be had or not."""
        self._compare_at = now + _hourly()
        if self._mirror.state.meta.get("last_sweep"):
            self._mirror.comparison.want()

    def _say(self, coverage: Coverage) -> None:
        self._mirror.state.meta.put(coverage=coverage.reason if not coverage.events else "")
        if not coverage.events:
            log.warning("scanning instead of watching reason=%s", coverage.reason)


def _hourly() -> float:
    """Seconds to the next time, so that mirrors that began together do not stay together."""
    return SWEEP_S * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
