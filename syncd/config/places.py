"""Where things lie: the XDG directories and the `SYNCD_*` variables. The only reader of the
environment, together with `secret`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from syncd.value import value


@value
class Places:
    """The folders of one instance; another set of XDG directories is another instance."""

    config: Path
    state: Path
    data: Path
    cache: Path
    named: Path | None = None
    """The configuration file where one is named: then it must be there."""

    @property
    def config_file(self) -> Path:
        return self.named or self.config / "config.toml"

    @property
    def hub_address(self) -> Path:
        """Written by a hub of this user: where it listens, and its token. Mode 0600."""
        return self.state / "hub.json"

    @property
    def hub_data(self) -> Path:
        return self.data / "hub"

    @property
    def mirrors(self) -> Path:
        return self.state / "mirrors"


@value
class Ambient:
    """What the environment says about the remote; the command line wins over it."""

    remote: str | None
    token: str | None = field(repr=False)
    token_file: Path | None


def places(environ: Mapping[str, str] = os.environ) -> Places:
    """Find the folders; `SYNCD_STATE_DIR` and its like win over the XDG directories."""
    home = Path(environ.get("HOME") or "~").expanduser()

    def one(name: str, fallback: str) -> Path:
        own = environ.get(f"SYNCD_{name}_DIR")
        if own:
            return Path(own).absolute()
        base = environ.get(f"XDG_{name}_HOME", "")
        # The XDG specification has relative paths ignored.
        return (Path(base) if base.startswith("/") else home / fallback) / "syncd"

    named = environ.get("SYNCD_CONFIG_FILE")
    return Places(
        named=Path(named).absolute() if named else None,
        config=one("CONFIG", ".config"),
        state=one("STATE", ".local/state"),
        data=one("DATA", ".local/share"),
        cache=one("CACHE", ".cache"),
    )


@value
class Unit:
    """What systemd says to a unit of type notify: where to answer, and how often."""

    address: str | None = None
    watchdog_s: float | None = None


def unit(environ: Mapping[str, str] = os.environ) -> Unit:
    """Read `NOTIFY_SOCKET` and `WATCHDOG_USEC`; without the first nobody listens."""
    every = environ.get("WATCHDOG_USEC", "")
    whose = environ.get("WATCHDOG_PID", str(os.getpid()))
    own = every.isdecimal() and whose == str(os.getpid())
    return Unit(
        address=environ.get("NOTIFY_SOCKET") or None,
        watchdog_s=int(every) / 1e6 if own else None,
    )


def under_journal(fd: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written there goes to systemd's journal, which reads priorities."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def inherited(extra: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a child of ours: it is not the one that systemd listens to."""
    left_out = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    return {name: value for name, value in environ.items() if name not in left_out} | dict(extra)


def ambient(environ: Mapping[str, str] = os.environ) -> Ambient:
    """Read `SYNCD_REMOTE`, `SYNCD_TOKEN` and `SYNCD_TOKEN_FILE`; empty means unset."""
    file = environ.get("SYNCD_TOKEN_FILE")
    return Ambient(
        remote=environ.get("SYNCD_REMOTE") or None,
        token=environ.get("SYNCD_TOKEN") or None,
        token_file=Path(file) if file else None,
    )
