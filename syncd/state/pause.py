"""A pause that a person asked for: a word in the state file, so that it outlives a restart and
needs no remote. It is over when its time is, whether somebody was there to see it or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from syncd.state.meta import Meta

SECOND = 1_000_000_000
RESTS = "paused by syncd pause"
"""Why a mirror rests that is paused."""


def pause(meta: Meta, now_ns: int, seconds: str = "") -> str:
    """Note a pause until told to go on, or for so long; return what is to be said of it."""
    until = now_ns + int(float(seconds) * SECOND) if seconds else None
    meta.put(paused={"since_ns": now_ns, "until_ns": until})
    return _sentence(until, now_ns)


def resume(meta: Meta, now_ns: int, then: str = "") -> str:
    """End a pause, if there is one; `then` is to be said of what follows."""
    paused = lasting(meta.get("paused"), now_ns)
    meta.put(paused=None)
    return f"resumed{then}" if paused else "is not paused"


def lasting(paused: Mapping[str, Any] | None, now_ns: int) -> str | None:
    """What is to be said of a pause as it was noted; None where there is none any more."""
    if not paused:
        return None
    until = paused["until_ns"]
    return _sentence(until, now_ns) if until is None or now_ns < until else None


def _sentence(until_ns: int | None, now_ns: int) -> str:
    until = f"{_hour(until_ns, now_ns)}, or until " if until_ns is not None else ""
    return f"paused until {until}syncd resume; what changes is noted"


def _hour(at_ns: int, now_ns: int) -> str:
    """The local hour, with its day where that is another one."""
    at, now = (datetime.fromtimestamp(ns / SECOND) for ns in (at_ns, now_ns))
    return at.strftime("%H:%M" if at.date() == now.date() else "%Y-%m-%d %H:%M")
