"""The configuration as it holds now, with the defaults where it says nothing: `syncd config`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd.config.load import load
from syncd.config.parts import Config
from syncd.config.places import ambient, places
from syncd.hub.limits import RETENTION_DAYS
from syncd.model import Layout, OnConflict, OnDelete
from syncd.state.history import DAYS
from syncd.value import by_name

DEFAULTS = {
    "mirror.layout": Layout.FIRST_LEVEL.value,
    "mirror.on_delete": OnDelete.TRASH.value,
    "mirror.on_conflict": OnConflict.KEEP.value,
    "mirror.source": "this machine's name",
    "mirror.extensions": "pictures, videos and scans",
    "mirror.ignore": (),
    "mirror.bandwidth": "unlimited",
    "mirror.active_hours": "always",
    "mirror.history_days": DAYS,
    "metrics.port": "none: `syncd metrics` prints them",
    "metrics.textfile": "none",
    "hub.port": "any that is free, then always that one",
    "hub.min_free": "1 GiB, or 2 % of a small disk",
    "hub.retention_days": RETENTION_DAYS,
}
"""What holds where the configuration says nothing."""
UNSAID = (None, "", ())
"""What stands for no word at all; 0 and false are words."""


def effective(remote: str | None = None, file: Path | None = None) -> dict[str, Any]:
    """The configuration as it holds now, of the file named or this user's own; secrets by
    reference only, and no user or password in an address."""
    where, around = places(), ambient()
    if file is not None:
        where = replace(where, named=file.absolute())
    config = load(where)
    table: dict[str, Any] = {
        "config_file": str(where.config_file),
        "config_file_exists": where.config_file.exists(),
        "state": str(where.state),
        "data": str(where.data),
        "cache": str(where.cache),
        "remote": remote or around.remote or config.remote or "hub",
        "token_from_environment": bool(around.token or around.token_file),
    }
    for name, known in config.remotes.items():
        ca = f" ca {known.ca}" if known.ca else ""
        table[f"remotes.{name}"] = f"{known.url} token {known.token or 'none'}{ca}"
    parts = (("mirror", config.mirror), ("hub", config.hub), ("metrics", config.metrics))
    for part, values in parts:
        for name, said in by_name(values).items():
            table[f"{part}.{name}"] = DEFAULTS[f"{part}.{name}"] if said in (None, ()) else said
    table |= _listed(config)
    return {name: _bare(said) if isinstance(said, str) else said for name, said in table.items()}


def _bare(text: str) -> str:
    """Addresses without the user and the password in them."""
    return re.sub(r"://[^/\s]*@", "://", text)


def _listed(config: Config) -> dict[str, Any]:
    """What each mirror and mount says itself, with the defaults that it takes over."""
    table: dict[str, Any] = {}
    for number, entry in enumerate(config.mirrors, start=1):
        own: dict[str, Any] = {"root": str(entry.root), "dataset": entry.dataset or entry.root.name}
        own |= {"remote": entry.remote, "path": entry.path}
        own |= by_name(entry.choices)
        table |= {
            f"mirror {number}.{name}": said for name, said in own.items() if said not in UNSAID
        }
    for number, mount in enumerate(config.mounts, start=1):
        said: dict[str, Any] = {
            "path": str(mount.path),
            "dataset": mount.dataset or "all",
            "remote": mount.remote,
        }
        said |= dict(mount.options)
        table |= {
            f"mount {number}.{name}": value for name, value in said.items() if value not in UNSAID
        }
    return table
