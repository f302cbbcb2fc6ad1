"""Quantities as people write them: `5 MB/s`, `2h`, `22:00-06:00`.

The command line and the configuration both take them: each error names the text, and is the call's
until a reader of a configuration makes it one of that file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from syncd.errors import UsageError

_NUMBER = r"\s*(\d+(?:\.\d+)?)\s*"
_RATE = re.compile(_NUMBER + r"([kmgt]i?)?(b|bit)?(?:/s|ps)?\s*", re.IGNORECASE)
_TIME = re.compile(_NUMBER + r"(s|m|min|h|d|w)?\s*", re.IGNORECASE)
_SPAN = re.compile(r"\s*(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)\s*")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
DAY = 24 * 60
LONGEST_S = 100 * 365 * 86_400

Span = tuple[int, int]
"""From and to, in minutes of the day; over midnight where `to` is the smaller."""


def rate(text: str) -> float | None:
    """Bytes per second of `5 MB/s`, `800 kB/s`, `20 Mbit/s`; None for `unlimited`.

    Raises UsageError.
    """
    if text.strip().lower() in ("unlimited", "none"):
        return None
    found = _RATE.fullmatch(text)
    value = float(found[1]) * _factor(found[2]) if found else 0.0
    if found is None or value <= 0:
        raise UsageError(f"{text!r} is no rate: write `5 MB/s`, `20 Mbit/s` or `unlimited`")
    return value / 8 if (found[3] or "").lower() == "bit" else value


def duration(text: str) -> float:
    """Seconds of `90`, `30s`, `15 min`, `2h`, `7d`. Raises UsageError."""
    found = _TIME.fullmatch(text)
    seconds = float(found[1]) * _SECONDS[(found[2] or "s").lower()] if found else math.inf
    if seconds > LONGEST_S:
        raise UsageError(f"{text!r} is no time: write `30s`, `15 min`, `2h` or `7d`")
    return seconds


def hours(text: str) -> tuple[Span, ...]:
    """The spans of `22:00-06:00, 12:00-13:00`; empty is always. Raises UsageError."""
    return tuple(_span(part, text) for part in text.split(",") if part.strip())


def within(spans: Sequence[Span], minute: int) -> bool:
    """Whether a minute of the day is in one of the spans; no spans are the whole day."""
    return not spans or any((minute - start) % DAY < ((end - start) % DAY or DAY)
                            for start, end in spans)  # fmt: skip


def _span(part: str, text: str) -> Span:
    found = _SPAN.fullmatch(part)
    numbers = [int(number) for number in found.groups()] if found else [99]
    ends = [60 * hour + minute for hour, minute in zip(numbers[::2], numbers[1::2], strict=False)]
    if len(ends) != 2 or max(ends) > DAY or max(numbers[1::2]) > 59:
        raise UsageError(f"{text!r} are no hours: write `22:00-06:00`")
    return ends[0] % DAY, ends[1] % DAY


def _factor(unit: str | None) -> int:
    word = (unit or "").lower()
    return int((1024 if word.endswith("i") else 1000) ** _POWERS[word.rstrip("i")])
