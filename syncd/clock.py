"""Time as a dependency, so that tests can own it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_ns(self) -> int:
        """Wall-clock nanoseconds since 1970: for what is recorded and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back: for waiting."""
        ...


class SystemClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()
