"""The second after a failed connection, in which nothing is asked for."""

from __future__ import annotations

import time

from syncd.errors import SyncdError

PAUSE_SECONDS = 1.0


class Pause:
    """One for all who ask the same remote; safe between threads."""

    def __init__(self, seconds: float = PAUSE_SECONDS) -> None:
        self.seconds = seconds
        self._latest: tuple[float, SyncdError] | None = None

    def begin(self, error: SyncdError) -> None:
        """Ask for nothing from now on, because of this."""
        self._latest = (time.monotonic() + self.seconds, error)

    @property
    def reason(self) -> SyncdError | None:
        """Why nothing is asked for now; None where it may be."""
        latest = self._latest
        return latest[1] if latest and time.monotonic() < latest[0] else None
