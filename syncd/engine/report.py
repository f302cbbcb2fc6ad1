"""What a run did, in numbers: the report of a push and the progress while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.value import value


@value
class Failure:
    """A file that did not arrive, and why, in one sentence."""

    path: str
    reason: str
    kind: str = "failed"
    """Or `conflict`, which a person settles; or `refused`, which goes when the file is renamed."""


@value
class Report:
    """The outcome of a push; of a pull, where `uploaded` counts what was fetched.

    `attempted` counts every candidate; each of them is uploaded, skipped (it was there already)
    or failed. `renamed` counts files stored under another name than their own because two would
    have been one, `rules` the files left out by the rule that did, `bytes` what was sent.
    """

    dataset: str
    attempted: int = 0
    uploaded: int = 0
    skipped: int = 0
    renamed: int = 0
    failed: Sequence[Failure] = ()
    rules: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    seconds: float = 0.0
    away: str | None = None
    """Why the remote could not be reached to the end; None where it could."""
    full: bool = False
    """It was because there is no room at the remote."""

    @property
    def ignored(self) -> int:
        """How many files no rule took."""
        return sum(self.rules.values())

    @property
    def success(self) -> bool:
        """Nothing failed; an unchanged re-run is a success."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """What a command that did this ends with."""
        if self.away:
            return 7 if self.full else 5
        return 1 if self.failed else 0


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of one mirror while it works; written by its control thread only."""

    scanning: bool = True
    files: int = 0
    uploaded: int = 0
    moved: int = 0
    removed: int = 0
    adopted: int = 0
    bytes: int = 0
    done: int = 0
    retries: int = 0
    """Tries that failed and will be made again."""
    doubts: int = 0
    """Times that events may have been lost, which an overflow or a dead watch costs."""
    leaving: Callable[[], int] | None = None
    """Tells the bytes that left so far, where the remote counts them as they go."""
    expected: int | None = None
    """Bytes that are there to be sent in all, as far as is known after a scan of few new files."""
    watchers: list[Callable[[Tally, str], None]] = field(default_factory=list)

    def counted(self, files: int, left: int | None) -> None:
        """Now it is known how many files there are, and what those weigh that are to be sent."""
        self.scanning = False
        self.files = files
        self.expected = None if left is None else self.bytes + left

    @property
    def sent(self) -> int:
        """Bytes on their way and there, as far as it can be told: to be shown, never reported."""
        return self.leaving() if self.leaving else self.bytes

    @property
    def part(self) -> float:
        """How much of it is done, 0 to 1: by bytes where these are known, else by files."""
        if self.expected:
            return min(self.sent / self.expected, 1.0)
        return self.done / self.files if self.files else 0.0

    def tell(self, path: str) -> None:
        """Let whoever shows progress know that a path was dealt with."""
        self.done += 1
        for watcher in self.watchers:
            watcher(self, path)
