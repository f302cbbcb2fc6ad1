"""How long to wait after an error before the next try, by the error's class.

Called by the engine when an outcome carries an error. None means: not before something changes.
"""

from __future__ import annotations

from syncd.errors import (
    ConflictError,
    MissingError,
    SyncdError,
    TransientError,
    UnreadableError,
    UnsettledError,
)
from syncd.value import value

SPREAD = 0.25
LONGEST = 3600.0
"""Seconds; no answer of a remote can stop a file for longer."""


@value
class _Pace:
    error: type[SyncdError]
    first: float
    most: float


_PACES = (
    _Pace(error=TransientError, first=1.0, most=300.0),
    _Pace(error=ConflictError, first=1.0, most=60.0),
    _Pace(error=MissingError, first=1.0, most=60.0),
    _Pace(error=UnsettledError, first=2.0, most=60.0),
    _Pace(error=UnreadableError, first=30.0, most=LONGEST),
)


def delay(error: SyncdError, tries: int, jitter: float) -> float | None:
    """Seconds to wait after `tries` failed tries (1 or more); `jitter` in [0, 1) is spread on top.

    A remote's Retry-After is honoured where it is longer, up to an hour.
    """
    pace = next((pace for pace in _PACES if isinstance(error, pace.error)), None)
    if pace is None:
        return None
    # 2 ** 12 is past every maximum, and a float overflows at 2 ** 1024.
    wait = min(pace.first * 2.0 ** min(max(tries - 1, 0), 12), pace.most)
    if isinstance(error, TransientError) and error.retry_after is not None:
        wait = max(wait, min(error.retry_after, LONGEST))
    return wait * (1 + SPREAD * jitter)
