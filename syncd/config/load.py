"""The configuration file: TOML below the XDG configuration directory, checked as a whole.

A file with several faults names them all at once, each with the nearest key that is known.
Secrets stand in it only as references to a variable or a file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from syncd.config.places import Places
from syncd.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Secret:
    """A token by reference; it never shows itself."""

    env: str | None = None
    file: str | None = None

    def reveal(self) -> str:
        """The secret itself. Raises ConfigError where it is not to be had."""
        if self.env:
            value = os.environ.get(self.env)
            if not value:
                raise ConfigError(f"the variable {self.env} is not set")
            return value
        try:
            return Path(self.file or "").expanduser().read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"the token cannot be read: {error.strerror}", path=self.file
            ) from error

    def __repr__(self) -> str:
        return f"Secret(env={self.env!r})" if self.env else f"Secret(file={self.file!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """A hub by name: `[remotes.NAME]`."""

    url: str
    token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorConfig:
    """What holds for every mirror unless the command line says otherwise: `[mirror]`."""

    layout: str | None = None
    on_delete: str | None = None
    on_conflict: str | None = None
    source: str | None = None
    extensions: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """The embedded hub and `syncd hub`: `[hub]`. Sizes in bytes, times in days."""

    port: int | None = None
    min_free: int | None = None
    retention_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    remote: str | None = None
    remotes: dict[str, RemoteConfig] = field(default_factory=dict)
    mirror: MirrorConfig = MirrorConfig()
    hub: HubConfig = HubConfig()


CHOICES = {
    "layout": ("first-level", "tree", "flat"),
    "on_delete": ("trash", "keep", "delete"),
    "on_conflict": ("keep", "suffix"),
}


def load(where: Places) -> Config:
    """Read the configuration, or the defaults where there is none. Raises ConfigError."""
    file = where.config_file
    try:
        text = file.read_text()
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", path=str(file)) from error
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not TOML: {error}", path=str(file)) from error
    reader = _Reader()
    config = reader.config(found)
    if reader.problems:
        raise ConfigError("; ".join(reader.problems), path=str(file))
    return config


class _Reader:
    """Collects every problem while the parts are built."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def config(self, found: dict[str, Any]) -> Config:
        self._known(found, "", {"remote", "remotes", "mirror", "hub"})
        remotes = {
            name: self._remote(name, table) for name, table in self._table(found, "remotes").items()
        }
        return Config(
            remote=self._one(found, "remote", "remote", str),
            remotes=remotes,
            mirror=self._mirror(self._table(found, "mirror")),
            hub=self._hub(self._table(found, "hub")),
        )

    def _remote(self, name: str, table: Any) -> RemoteConfig:
        where = f"remotes.{name}"
        if not isinstance(table, dict):
            self.problems.append(f"[{where}] is no table")
            return RemoteConfig(url="")
        self._known(table, where, {"url", "token"})
        url = self._one(table, "url", f"{where}.url", str)
        if not url:
            self.problems.append(f"{where}.url is missing")
        return RemoteConfig(url=url or "", token=self._secret(table, where))

    def _secret(self, table: dict[str, Any], where: str) -> Secret | None:
        found = table.get("token")
        if found is None:
            return None
        if isinstance(found, dict) and len(found) == 1 and found.keys() <= {"env", "file"}:
            return Secret(**{name: str(value) for name, value in found.items()})
        self.problems.append(
            f'{where}.token must be {{ env = "NAME" }} or {{ file = "PATH" }}, never the token'
        )
        return None

    def _mirror(self, table: dict[str, Any]) -> MirrorConfig:
        self._known(table, "mirror", {part.name for part in fields(MirrorConfig)})
        for name, choices in CHOICES.items():
            if table.get(name) not in (None, *choices):
                self.problems.append(f"mirror.{name} must be one of {', '.join(choices)}")
        return MirrorConfig(
            layout=self._one(table, "layout", "mirror.layout", str),
            on_delete=self._one(table, "on_delete", "mirror.on_delete", str),
            on_conflict=self._one(table, "on_conflict", "mirror.on_conflict", str),
            source=self._one(table, "source", "mirror.source", str),
            extensions=self._many(table, "extensions"),
            ignore=self._many(table, "ignore"),
        )

    def _hub(self, table: dict[str, Any]) -> HubConfig:
        names = [part.name for part in fields(HubConfig)]
        self._known(table, "hub", set(names))
        found = {name: self._one(table, name, f"hub.{name}", int) for name in names}
        if not 0 <= (found["port"] or 0) <= 65535:
            self.problems.append("hub.port must be between 0 and 65535")
        for name in ("min_free", "retention_days"):
            if (found[name] or 0) < 0:
                self.problems.append(f"hub.{name} must not be negative")
        return HubConfig(**found)

    def _table(self, found: dict[str, Any], name: str) -> dict[str, Any]:
        table = found.get(name, {})
        if isinstance(table, dict):
            return table
        self.problems.append(f"[{name}] is no table")
        return {}

    def _known(self, table: dict[str, Any], where: str, names: set[str]) -> None:
        for name in table.keys() - names:
            near = difflib.get_close_matches(name, names, 1)
            meant = (
                f": did you mean {near[0]}?" if near else f": known are {', '.join(sorted(names))}"
            )
            self.problems.append(f"unknown key {f'{where}.' if where else ''}{name}{meant}")

    def _one(self, table: dict[str, Any], name: str, where: str, kind: type) -> Any:
        value = table.get(name)
        if value is None or type(value) is kind:
            return value
        self.problems.append(f"{where} must be {'a number' if kind is int else 'a string'}")
        return None

    def _many(self, table: dict[str, Any], name: str) -> tuple[str, ...]:
        value = table.get(name, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.problems.append(f"mirror.{name} must be a list of strings")
        return ()
