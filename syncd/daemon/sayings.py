"""What `syncd watch` says while it runs: lines now and then, never one per file; and what is on its
way, for a terminal that shows it in a line of its own.
"""

from __future__ import annotations

from typing import Protocol

from syncd.counted import counted
from syncd.engine.mirror import Mirror
from syncd.value import value


@value
class Going:
    """How far a mirror is that has something to do."""

    done: int
    """Files dealt with since it began to have something to do."""
    left: int | None
    """Files that are yet to come; None while they are still being counted."""
    bytes: int
    seconds: float
    bytes_left: int | None = None
    """What the files to come weigh, but for what is on its way; None where they are many."""

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """By bytes where these are known, else by files; None where that cannot be told."""
        if self.bytes_left is not None and self.bytes:
            return self.bytes_left * self.seconds / self.bytes
        return self.left * self.seconds / self.done if self.left is not None and self.done else None

    @property
    def part(self) -> float:
        """How much of it is done, 0 to 1."""
        if self.bytes_left is not None and self.bytes:
            return self.bytes / (self.bytes + self.bytes_left)
        return self.done / (self.done + self.left) if self.left else 0.0


class Voice(Protocol):
    """Where a mirror speaks; called from its thread, must not block."""

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def warn(self, text: str) -> None:
        """A line of something that a person should see to, heard also where others are not."""
        ...

    def show(self, name: str, going: Going | None) -> bool:
        """What is on its way into a dataset, instead of what was shown before; None where nothing
        is. Whether it can be seen: where not, lines tell it."""
        ...


class Sayings:
    """Says what one mirror did since the last line; asked about once a second."""

    def __init__(self, voice: Voice, mirror: Mirror) -> None:
        self._voice = voice
        self._mirror = mirror
        self._told = (0, 0, 0, 0)
        self._bytes = self._dealt = 0
        self._lost = 0
        """Bytes that left and were no file's that arrived: frames, and tries that failed."""
        self._at = mirror.clock.monotonic()
        self._closed: str | None = None
        self._held: str | None = None
        self._troubled = 0

    def tick(self) -> None:
        """Say what is new, if anything."""
        name = self._mirror.dataset.info.name
        going = self._going()
        if not self._voice.show(name, going) or going is None:
            self._say_done(name, going)
        self._warn(name)

    def _warn(self, name: str) -> None:
        """What waits for a person, once."""
        closed = self._mirror.guard.closed
        if closed is not None and closed != self._closed:
            self._voice.warn(f"{name}: paused, nothing is touched: {closed}")
            self._voice.warn("`syncd status` says how to go on")
        self._closed = closed
        held = self._mirror.state.meta.get("held")
        if held and held["plan"] != self._held:
            self._voice.warn(
                f"{name}: {held['reason']}; their items stay until `syncd approve {held['plan']}`"
            )
        self._held = held and held["plan"]
        troubled = self._mirror.state.troubles.count()
        if troubled > self._troubled:
            files = counted(troubled, "file is", "files are")
            self._voice.warn(f"{name}: {files} not in sync: `syncd status` says why")
        self._troubled = troubled

    def _going(self) -> Going | None:
        """What was done since the last line, where that is not all; at rest little is asked."""
        mirror, tally = self._mirror, self._mirror.tally
        if mirror.guard.closed is not None or mirror.resting is not None or mirror.done:
            self._lost = tally.sent - tally.bytes
            return None
        done = sum(self._counts()) + tally.adopted - self._dealt
        left = mirror.state.agenda.pending()
        if not done and not left.files and not mirror.sweeping:
            return None
        return Going(
            done=done,
            left=None if mirror.sweeping else left.files,
            bytes=tally.sent - self._bytes,
            seconds=mirror.clock.monotonic() - self._at,
            bytes_left=None if left.bytes is None else max(0, left.bytes - self._leaving()),
        )

    def _leaving(self) -> int:
        """Bytes of files that are on their way."""
        return max(0, self._mirror.tally.sent - self._mirror.tally.bytes - self._lost)

    def _say_done(self, name: str, going: Going | None) -> None:
        counts = self._counts()
        told = zip(counts, self._told, ("stored", "moved", "removed", "annotated"), strict=True)
        words = [f"{now - then} {word}" for now, then, word in told if now > then]
        if words:
            words += _ahead(going) if going and counts[0] > self._told[0] else []
            self._voice.say(f"{name}: {', '.join(words)}")
        self._told, self._bytes = counts, self._mirror.tally.sent
        self._dealt = sum(counts) + self._mirror.tally.adopted
        self._at = self._mirror.clock.monotonic()

    def _counts(self) -> tuple[int, int, int, int]:
        tally = self._mirror.tally
        return tally.uploaded, tally.moved, tally.removed, self._mirror.sidecars.annotated


def _ahead(going: Going) -> list[str]:
    """How fast it goes and what is yet to come."""
    rate = f"{going.rate / 2**20:.1f} MiB/s"
    if going.left is None:
        return [rate, "scanning"]
    seconds = going.seconds_left
    about = f", about {seconds:.0f} s" if seconds is not None else ""
    return [rate, f"{going.left} to go{about}"] if going.left else []
