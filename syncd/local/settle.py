"""When a path is to be looked at: the quiet periods, as plain state.

Owned by the control thread, which brings the time along: no clock, no thread, no disk in here.
What must stay true: a path that was hinted becomes due, never later than its quiet period asks
for, and what is calm costs no memory.
"""

from __future__ import annotations

import heapq
from itertools import islice

from syncd.model import Stat

QUIET = 2.0
LONGEST = 60.0
CALM = 10
"""A path not sent for this many of its quiet periods is like any other again."""
MOST = 16_384
"""So many paths are remembered as sent a moment ago: of a whole tree that arrives, the latest."""


class Settle:
    """Collects hints and tells what is due. Times are seconds that never step back."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._queue: list[tuple[float, str]] = []
        self._looks: dict[str, tuple[Stat, float]] = {}
        self._sent: dict[str, tuple[float, float]] = {}
        self._prune_at = 1024

    def __len__(self) -> int:
        return len(self._due)

    def hint(self, path: str, now: float, *, prompt: bool) -> None:
        """Notes that `path` may have changed: due at once when prompt, else after 2 s.

        Repeated hints collapse to the earliest. A path sent a moment ago waits for the end of
        its quiet period.
        """
        self._schedule(path, max(now if prompt else now + QUIET, self._quiet_until(path, now)))

    def when(self, path: str) -> float:
        """When the path is due; 0 where it does not wait."""
        return self._due.get(path, 0.0)

    def due(self, now: float) -> list[str]:
        """Takes out what is due, the longest waiting first."""
        paths = []
        while self._queue and self._queue[0][0] <= now:
            at, path = heapq.heappop(self._queue)
            if self._due.get(path) == at:
                del self._due[path]
                paths.append(path)
        return paths

    def hurry(self, now: float) -> None:
        """Makes everything that waits due at once."""
        for path in list(self._due):
            self._schedule(path, now)

    def next_due(self) -> float | None:
        """When to call `due` next; None while nothing waits."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else None

    def unsettled(self, path: str, stat: Stat, now: float) -> None:
        """Notes how a file looked that could not be had whole, and looks again in 2 s."""
        seen = self._looks.get(path)
        if seen is None or seen[0] != stat:
            self._looks[path] = (stat, now)
        if len(self._looks) >= self._prune_at:
            self._prune(now)
        self._schedule(path, now + QUIET)

    def look(self, path: str, stat: Stat, now: float) -> bool:
        """Whether the file looks as it did 2 s ago or more; only an unsettled one is known, and
        becomes due again until it does."""
        seen = self._looks.get(path)
        if seen is None:
            return False
        if seen[0] != stat:
            seen = self._looks[path] = (stat, now)
        if now - seen[1] >= QUIET:
            return True
        self._schedule(path, seen[1] + QUIET)
        return False

    def sent(self, path: str, now: float) -> None:
        """Starts the quiet period: twice as long, up to 60 s, where the last was not calm."""
        self._looks.pop(path, None)
        known = self._sent.pop(path, None)
        again = known is not None and not _calm(known, now)
        quiet = min(LONGEST, known[1] * 2) if known is not None and again else QUIET
        self._sent[path] = (now, quiet)
        if len(self._sent) >= self._prune_at:
            self._prune(now)

    def _schedule(self, path: str, at: float) -> None:
        pending = self._due.get(path)
        if pending is None or at < pending:
            self._due[path] = at
            heapq.heappush(self._queue, (at, path))

    def _quiet_until(self, path: str, now: float) -> float:
        known = self._sent.get(path)
        return now if known is None or _calm(known, now) else known[0] + known[1]

    def _prune(self, now: float) -> None:
        """Forgets the calm; waiting for twice the survivors keeps the cost per path constant."""
        sent = {p: known for p, known in self._sent.items() if now - known[0] < known[1] * CALM}
        self._sent = dict(islice(sent.items(), max(0, len(sent) - MOST), None))
        self._looks = {
            path: seen
            for path, seen in self._looks.items()
            if path in self._due or not _calm((seen[1], QUIET), now)
        }
        self._prune_at = max(1024, 2 * len(self._sent), 2 * len(self._looks))


def _calm(known: tuple[float, float], now: float) -> bool:
    sent_at, quiet = known
    return now - sent_at >= quiet * CALM
