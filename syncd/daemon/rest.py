"""When a mirror rests though all is well: paused by a person, or outside of its active hours.

Asked once a second by the control thread. A pause is kept in the state file, so it survives a
restart; what rests goes on noting what changes.
"""

from __future__ import annotations

import logging
import time

from syncd.config.quantity import Span, within
from syncd.engine.commands import rest
from syncd.engine.mirror import Mirror
from syncd.state.pause import RESTS, lasting

log = logging.getLogger(__name__)


class Rest:
    """Minds the pause and the active hours of one mirror."""

    def __init__(self, mirror: Mirror, hours: tuple[Span, ...]) -> None:
        self._mirror = mirror
        self._hours = hours
        mirror.state.meta.put(resting=None)

    def check(self) -> None:
        """Begin to rest, or go on, where it is time."""
        reason = self._paused() or self._off_duty()
        if reason == self._mirror.resting:
            return
        rest(self._mirror, reason)
        log.info("rested reason=%s", reason) if reason else log.info("went on")

    def _paused(self) -> str | None:
        meta = self._mirror.state.meta
        paused = meta.get("paused")
        if lasting(paused, self._mirror.clock.now_ns()):
            return RESTS
        if paused:
            meta.put(paused=None)
        return None

    def _off_duty(self) -> str | None:
        if not self._hours:
            return None
        now = time.localtime(self._mirror.clock.now_ns() / 1e9)
        if within(self._hours, now.tm_hour * 60 + now.tm_min):
            return None
        return f"outside of its active hours, {' and '.join(map(_shown, self._hours))}"


def _shown(span: Span) -> str:
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in span)
