"""Keeps log files in the state directory from growing: their end stays, the rest goes.

Called where one is written, and now and then by a daemon: an embedded hub may run for months.
"""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

LOGS = ("hub.log", "mount.log", "fault.log")
LOG_BYTES = 8 * 1024 * 1024
KEPT = 0.5
"""The part of a log that stays when it has become too long: its end."""


def shorten_logs(state: Path) -> None:
    """Keep the logs in the state directory within their limit."""
    for name in LOGS:
        if (state / name).exists():
            shorten(state / name)


def shorten(file: Path, most: int | None = None) -> None:
    """Keep the end of a log that is longer than it may be; whoever appends to it goes on."""
    most = LOG_BYTES if most is None else most
    try:
        if file.stat().st_size <= most:
            return
        with file.open("r+b") as log_file:
            log_file.seek(-int(most * KEPT), 2)
            end = log_file.read().partition(b"\n")[2]
            log_file.seek(0)
            log_file.truncate()
            log_file.write(end)
    except OSError as error:
        log.warning("log not shortened path=%s reason=%s", file, error.strerror)
