"""Where things lie: the XDG directories and the `SYNCD_*` variables. The only reader of the
environment, together with `load`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of one instance; another set of XDG directories is another instance."""

    config: Path
    state: Path
    data: Path
    cache: Path

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

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


@dataclass(frozen=True, slots=True, kw_only=True)
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

    return Places(
        config=one("CONFIG", ".config"),
        state=one("STATE", ".local/state"),
        data=one("DATA", ".local/share"),
        cache=one("CACHE", ".cache"),
    )


def ambient(environ: Mapping[str, str] = os.environ) -> Ambient:
    """Read `SYNCD_REMOTE`, `SYNCD_TOKEN` and `SYNCD_TOKEN_FILE`; empty means unset."""
    file = environ.get("SYNCD_TOKEN_FILE")
    return Ambient(
        remote=environ.get("SYNCD_REMOTE") or None,
        token=environ.get("SYNCD_TOKEN") or None,
        token_file=Path(file) if file else None,
    )
