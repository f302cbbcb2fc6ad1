"""What `syncd watch` says while it runs: a line now and then, never one per file."""

from __future__ import annotations

from collections.abc import Callable

from syncd.engine.mirror import Mirror


class Sayings:
    """Says what one mirror did since the last line; asked about once a second."""

    def __init__(self, say: Callable[[str], None], mirror: Mirror) -> None:
        self._say = say
        self._mirror = mirror
        self._last = (0, 0, 0, 0)
        self._bytes = 0
        self._at = mirror.clock.monotonic()
        self._troubled = 0

    def tick(self) -> None:
        """Say what is new, if anything."""
        tally, name = self._mirror.tally, self._mirror.dataset.info.name
        annotated = self._mirror.sidecars.annotated
        counts = (tally.uploaded, tally.moved, tally.removed, annotated)
        now, bytes = self._mirror.clock.monotonic(), tally.bytes
        if counts != self._last:
            told = zip(counts, self._last, ("stored", "moved", "removed", "annotated"), strict=True)
            words = [f"{now - then} {word}" for now, then, word in told if now > then]
            words += self._ahead(counts[0] - self._last[0], bytes - self._bytes, now - self._at)
            self._say(f"{name}: {', '.join(words)}")
        self._last, self._bytes, self._at = counts, bytes, now
        troubled = self._mirror.state.troubles.count()
        if troubled > self._troubled:
            self._say(f"{name}: {troubled} files are not in sync: `syncd status` says why")
        self._troubled = troubled

    def _ahead(self, stored: int, bytes: int, seconds: float) -> list[str]:
        """How fast it goes and what is yet to come, where that is more than this line."""
        left, _ = self._mirror.state.agenda.pending()
        if not stored or not seconds or not (left or self._mirror.sweeping):
            return []
        rate = f"{bytes / 1e6 / seconds:.1f} MB/s"
        if self._mirror.sweeping:
            return [rate, "scanning"]
        return [rate, f"{left} to go, about {left * seconds / stored:.0f} s"]
