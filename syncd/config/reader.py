"""Builds the parts of a configuration from a TOML document, and collects every problem on the way.

`load` makes one per file. Nothing here raises for what the file says: what cannot be used is noted
with the nearest key that is known, and replaced by nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from syncd.config import checked
from syncd.config.overlap import MISSING
from syncd.config.parts import (
    Config,
    HubConfig,
    MetricsConfig,
    MirrorConfig,
    MirrorEntry,
    MountEntry,
    RemoteConfig,
)
from syncd.config.quantity import hours, rate
from syncd.config.secret import KINDS, Secret
from syncd.errors import ConfigError, UsageError
from syncd.value import by_name

CHOICES = {
    "layout": ("first-level", "tree", "flat"),
    "on_delete": ("trash", "keep", "delete"),
    "on_conflict": ("keep", "suffix"),
}
MEASURES: dict[str, Callable[[Any], object]] = {
    "active_hours": hours,
    "bandwidth": rate,
    "cache_size": checked.cache_size,
    "dataset": checked.dataset,
    "gid": checked.owner,
    "history_days": checked.days,
    "min_free": checked.room,
    "mode": checked.mode,
    "port": checked.port,
    "retention_days": checked.days,
    "sidecars": checked.sidecars,
    "staleness": checked.seconds,
    "timeout": checked.seconds,
    "uid": checked.owner,
}
"""What a value must pass besides being of its type; raises ConfigError, UsageError."""
LISTS = ("extensions", "ignore")
WORDS = {str: "a string", int: "a number", float: "a number", bool: "true or false"}
TOP = ("remote", "remotes", "defaults", "mirror", "mount", "hub", "metrics")
MOUNT_OPTIONS: dict[str, type] = {
    "allow_other": bool,
    "cache_dir": str,
    "cache_size": str,
    "gid": int,
    "mode": str,
    "prefetch": str,
    "sidecars": str,
    "staleness": float,
    "timeout": float,
    "uid": int,
    "xattrs": bool,
}

Table = dict[str, Any]


class Reader:
    """Reads one document; `problems` is empty where all of it makes sense."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def config(self, found: Table) -> Config:
        self._known(found, "", set(TOP))
        defaults = self._defaults(found)
        config = Config(
            remote=self._one(found, "remote", "remote", str),
            remotes={n: self._remote(n, t) for n, t in self._table(found, "remotes").items()},
            mirror=defaults,
            mirrors=tuple(
                self._entry(table, where, defaults)
                for table, where in self._tables(found, "mirror")
            ),
            mounts=tuple(
                self._mount(table, where) for table, where in self._tables(found, "mount")
            ),
            hub=self._hub(self._table(found, "hub")),
            metrics=self._metrics(self._table(found, "metrics")),
        )
        self._named(config)
        return config

    # --- the parts ------------------------------------------------------------------------------

    def _defaults(self, found: Table) -> MirrorConfig:
        """`[defaults]`; where no folders are listed they may be called `[mirror]` as well."""
        if isinstance(found.get("mirror"), list):
            return self._choices(self._table(found, "defaults"), "defaults")
        if "mirror" in found and "defaults" in found:
            self.problems.append("[mirror] and [defaults] say the same thing: keep one of them")
        name = "mirror" if "mirror" in found else "defaults"
        return self._choices(self._table(found, name), name)

    def _remote(self, name: str, table: Any) -> RemoteConfig:
        where = f"remotes.{name}"
        if not isinstance(table, dict):
            self.problems.append(f"[{where}] is no table")
            return RemoteConfig(url="")
        self._known(table, where, {"url", "token", "ca"})
        url = self._one(table, "url", f"{where}.url", str)
        if not url:
            self.problems.append(f"{where}.url is missing")
        self._open(url, f"{where}.url")
        ca = self._place(table, "ca", where) if "ca" in table else None
        return RemoteConfig(url=url or "", token=self._secret(table, where), ca=ca)

    def _secret(self, table: Table, where: str) -> Secret | None:
        found = table.get("token")
        if found is None:
            return None
        if isinstance(found, dict) and len(found) == 1 and found.keys() <= set(KINDS):
            (named,) = found.values()
            if isinstance(named, str) and named.strip():
                return Secret(**found)
        self.problems.append(
            f'{where}.token must be {{ env = "NAME" }}, {{ file = "PATH" }} or'
            ' { credential = "NAME" }, never the token'
        )
        return None

    def _choices(self, table: Table, where: str, beside: tuple[str, ...] = ()) -> MirrorConfig:
        self._known(table, where, {part.name for part in fields(MirrorConfig)} | set(beside))
        for name, choices in CHOICES.items():
            if table.get(name) not in (None, *choices):
                self.problems.append(f"{where}.{name} must be one of {', '.join(choices)}")
        said: Table = {name: self._many(table, name, where) for name in LISTS}
        for name in (*CHOICES, "source", "bandwidth", "active_hours"):
            said[name] = self._one(table, name, f"{where}.{name}", str)
        said["history_days"] = self._one(table, "history_days", f"{where}.history_days", int)
        return MirrorConfig(**said)

    def _entry(self, table: Table, where: str, defaults: MirrorConfig) -> MirrorEntry:
        own = self._choices(table, where, ("root", "dataset", "remote", "path"))
        said = {name: said for name, said in by_name(own).items() if said not in (None, ())}
        below = self._one(table, "path", f"{where}.path", str) or ""
        if any(part in (".", "..") for part in below.split("/")):
            self.problems.append(f"{where}.path: a folder of a dataset has no . or ..")
        return MirrorEntry(
            root=self._place(table, "root", where),
            dataset=self._one(table, "dataset", f"{where}.dataset", str),
            remote=self._one(table, "remote", f"{where}.remote", str),
            path=below.strip("/"),
            choices=replace(defaults, **said),
        )

    def _mount(self, table: Table, where: str) -> MountEntry:
        self._known(table, where, {"path", "dataset", "remote", *MOUNT_OPTIONS})
        options = {n: self._one(table, n, f"{where}.{n}", k) for n, k in MOUNT_OPTIONS.items()}
        return MountEntry(
            path=self._place(table, "path", where),
            dataset=self._one(table, "dataset", f"{where}.dataset", str),
            remote=self._one(table, "remote", f"{where}.remote", str),
            options=tuple((name, value) for name, value in options.items() if value is not None),
        )

    def _hub(self, table: Table) -> HubConfig:
        names = [part.name for part in fields(HubConfig)]
        self._known(table, "hub", set(names))
        found = {name: self._one(table, name, f"hub.{name}", int) for name in names}
        return HubConfig(**found)

    def _metrics(self, table: Table) -> MetricsConfig:
        self._known(table, "metrics", {"port", "textfile"})
        port = self._one(table, "port", "metrics.port", int)
        textfile = self._one(table, "textfile", "metrics.textfile", str)
        return MetricsConfig(port=port, textfile=textfile)

    def _open(self, address: str | None, where: str) -> None:
        """Refuse an address with a name or password in it: it is shown and logged."""
        if "@" in (address or "").partition("://")[2].partition("/")[0]:
            self.problems.append(
                f"{where}: an address holds no name or password: say token = {{ file = ... }}"
            )

    def _named(self, config: Config) -> None:
        """A remote that is named is the embedded hub, an address, or one of `[remotes]`."""
        named = [("remote", config.remote)]
        named += [(f"mirror {n + 1}", entry.remote) for n, entry in enumerate(config.mirrors)]
        named += [(f"mount {n + 1}", entry.remote) for n, entry in enumerate(config.mounts)]
        known = {"hub", *config.remotes}
        for where, name in named:
            self._open(name, where)
            if name and "://" not in name and name not in known:
                self.problems.append(f"{where}: there is no remote {name!r}{_near(name, known)}")

    # --- values ---------------------------------------------------------------------------------

    def _place(self, table: Table, name: str, where: str) -> Path:
        """A path as the kernel will see it, links in it resolved; it need not be there now."""
        said = self._one(table, name, f"{where}.{name}", str)
        if not said:
            if table.get(name) in (None, ""):
                self.problems.append(f"{where}.{name} is missing")
            return MISSING
        try:
            path = Path(said).expanduser()
        except RuntimeError:
            path = Path(said)
        if not path.is_absolute():
            self.problems.append(f"{where}.{name}: {said!r} must begin with / or ~/")
            return MISSING
        return path.parent.resolve() / path.name if name == "path" else path.resolve()

    def _table(self, found: Table, name: str) -> Table:
        table = found.get(name, {})
        if isinstance(table, dict):
            return table
        self.problems.append(f"[{name}] is no table")
        return {}

    def _tables(self, found: Table, name: str) -> list[tuple[Table, str]]:
        """The tables of `[[name]]`, each with how a problem in it is to be found."""
        listed = found.get(name, [])
        if not isinstance(listed, list):
            if name == "mount":
                self.problems.append("[mount] must be written [[mount]]: there may be several")
            return []
        for number, table in enumerate(listed, start=1):
            if not isinstance(table, dict):
                self.problems.append(f"{name} {number} is no table")
        return [(t, f"{name} {n}") for n, t in enumerate(listed, start=1) if isinstance(t, dict)]

    def _known(self, table: Table, where: str, names: set[str]) -> None:
        for name in table.keys() - names:
            full = f"{where}.{name}" if where else name
            self.problems.append(f"unknown key {full}{_near(name, names)}")

    def _one(self, table: Table, name: str, where: str, kind: type) -> Any:
        """The value of a key where it is of its type and passes its measure."""
        value = table.get(name)
        if value is None:
            return None
        if type(value) is not kind and (kind, type(value)) != (float, int):
            self.problems.append(f"{where} must be {WORDS[kind]}")
            return None
        try:
            MEASURES.get(name, _any)(value)
        except (ConfigError, UsageError) as error:
            self.problems.append(f"{where}: {error.message}")
            return None
        return value

    def _many(self, table: Table, name: str, where: str) -> tuple[str, ...]:
        value = table.get(name, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.problems.append(f"{where}.{name} must be a list of strings")
        return ()


def _any(value: object) -> object:
    return value


def _near(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f": did you mean {near[0]}?" if near else f": known are {', '.join(sorted(names))}"
