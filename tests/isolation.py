"""What a test must never touch: the user's own folders and hub, and other machines.

Called by `conftest.py`, for every test and for every process that a session starts.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "syncd-tests"
"""Where samples are kept between runs: found at import, before any test has a home of its own."""

XDG = ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")


def environment(home: Path) -> dict[str, str]:
    """This environment with HOME and every XDG folder below `home` and no SYNCD_* in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    below = {f"XDG_{name}": str(home / name.partition("_")[0].lower()) for name in XDG}
    return kept | below | {"HOME": str(home)}


@contextlib.contextmanager
def at_home(home: Path) -> Iterator[None]:
    """Make `home` and let this process live there; put everything back afterwards."""
    before = dict(os.environ)
    (home / "runtime").mkdir(mode=0o700, parents=True)
    _become(environment(home))
    try:
        yield
    finally:
        _become(before)


def _become(environ: dict[str, str]) -> None:
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def stay_on_loopback() -> None:
    """Refuse, for the rest of this process, to look up or to reach any other machine."""
    for name in ("connect", "connect_ex", "sendto"):
        _guard(name)
    original = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _only_loopback(host.decode() if isinstance(host, bytes) else host)
        return original(host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def _guard(name: str) -> None:
    original = getattr(socket.socket, name)

    def guarded(self: socket.socket, *args: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(args[-1], tuple):
            _only_loopback(args[-1][0])
        return original(self, *args)

    setattr(socket.socket, name, guarded)


def _only_loopback(host: str | None) -> None:
    here = ("", "localhost", "::1", "::", "0.0.0.0")
    if host is not None and host not in here and not host.startswith("127."):
        raise AssertionError(f"a test reached out to {host!r}: only loopback is allowed")
