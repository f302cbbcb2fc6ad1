"""What a configuration says, as values. Built by `load`; every field is named as its key.

Paths are absolute, choices are merged with the defaults, secrets are references.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from syncd.config.secret import Secret
from syncd.value import value


@value
class RemoteConfig:
    """A hub by name: `[remotes.NAME]`."""

    url: str
    token: Secret | None = None
    ca: Path | None = None
    """The certificates that are believed instead of the machine's, in PEM."""


@value
class MirrorConfig:
    """How a folder is mirrored: `[defaults]` for all of them, and again in each `[[mirror]]`."""

    layout: str | None = None
    on_delete: str | None = None
    on_conflict: str | None = None
    source: str | None = None
    extensions: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    bandwidth: str | None = None
    active_hours: str | None = None
    history_days: int | None = None


@value
class MirrorEntry:
    """One folder for the daemon: `[[mirror]]`. `path` is the folder of the dataset that
    everything goes below; what is None has the daemon's default."""

    root: Path
    dataset: str | None = None
    remote: str | None = None
    path: str = ""
    choices: MirrorConfig = MirrorConfig()


@value
class MountEntry:
    """One dataset to be read as a folder: `[[mount]]`; without `dataset` all of them."""

    path: Path
    dataset: str | None = None
    remote: str | None = None
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    """What else `syncd mount` is to be told, by the names of its options."""


@value
class HubConfig:
    """The embedded hub and `syncd hub`: `[hub]`. Sizes in bytes, times in days."""

    port: int | None = None
    min_free: int | None = None
    retention_days: int | None = None


@value
class MetricsConfig:
    """Where the daemon's numbers go besides its control socket: `[metrics]`. `port` is one of
    this machine's own addresses, `textfile` what a node exporter collects."""

    port: int | None = None
    textfile: str | None = None


@value
class Config:
    remote: str | None = None
    remotes: dict[str, RemoteConfig] = field(default_factory=dict)
    mirror: MirrorConfig = MirrorConfig()
    mirrors: tuple[MirrorEntry, ...] = ()
    mounts: tuple[MountEntry, ...] = ()
    hub: HubConfig = HubConfig()
    metrics: MetricsConfig = MetricsConfig()
