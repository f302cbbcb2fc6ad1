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
        self._troubled = 0

    def tick(self) -> None:
        """Say what is new, if anything."""
        tally, name = self._mirror.tally, self._mirror.dataset.info.name
        annotated = self._mirror.sidecars.annotated
        counts = (tally.uploaded, tally.moved, tally.removed, annotated)
        if counts != self._last:
            told = zip(counts, self._last, ("stored", "moved", "removed", "annotated"), strict=True)
            words = [f"{now - then} {word}" for now, then, word in told if now > then]
            self._say(f"{name}: {', '.join(words)}")
            self._last = counts
        troubled = self._mirror.state.troubles.count()
        if troubled > self._troubled:
            self._say(f"{name}: {troubled} files are not in sync: `syncd status` says why")
        self._troubled = troubled
