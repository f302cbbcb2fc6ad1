"""What a daemon says to systemd: ready, its status, that it lives, that it stops.

Every service of type notify makes one `Notifier`; without systemd it is silent. Nothing here ever
raises: that nobody listens is no reason to stop working.
"""

from __future__ import annotations

import contextlib
import socket
import time

from syncd.config.places import Unit, unit


class Notifier:
    """Speaks to the service manager, if there is one."""

    def __init__(self, told: Unit | None = None) -> None:
        found = told or unit()
        address = found.address
        # A name that begins with @ is one in the kernel's own space of names.
        self._address = f"\0{address[1:]}" if address and address[0] == "@" else address
        self._every = found.watchdog_s / 3 if found.watchdog_s else None
        self._fed = 0.0
        self._status = ""

    @property
    def listened_to(self) -> bool:
        """Whether a service manager started this process."""
        return self._address is not None

    def ready(self) -> None:
        """All that was asked for is under way."""
        self._say("READY=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; the same one again is not sent."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={' '.join(text.split())}")

    def alive(self) -> None:
        """Feed the watchdog. To be called often, and only after a look at all that must live."""
        now = time.monotonic()
        if self._every is not None and now - self._fed >= self._every:
            self._fed = now
            self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError):
            flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            with socket.socket(socket.AF_UNIX, flags) as line:
                line.settimeout(1.0)
                line.connect(self._address)
                line.sendall(text.encode())
