"""What an installation comes to: files to write and commands to run, decided before either.

`install` carries the plan out, `--dry-run` prints it. Nothing here changes the machine.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from syncd.config.checked import checked_name
from syncd.config.load import load, parsed
from syncd.config.parts import Config
from syncd.config.places import Places
from syncd.errors import ConfigError, UsageError
from syncd.service import reach
from syncd.service.scope import DAEMON, HUB, MOUNT, Scope
from syncd.service.text import (
    REMOTE,
    STAMP,
    Mirrored,
    Shown,
    configuration,
    drop_in,
    made_by,
    user_of,
)
from syncd.value import value

PORT = 8620
CREDENTIAL = "${CREDENTIALS_DIRECTORY}/token"
PYTHON = (sys.executable, "-m", "syncd")


@value
class Wish:
    """What was asked for. Without `url` a hub is installed as well."""

    folders: Sequence[Path]
    mounts: Sequence[Shown]
    run_as: str | None = None
    url: str | None = None
    token: str | None = None


@value
class File:
    """A file to be there afterwards; `secret` is not to be shown."""

    path: Path
    text: str
    mode: int = 0o644
    secret: bool = False


@value
class Plan:
    files: Sequence[File]
    folders: Sequence[Path]
    """Mount points that have to be made."""
    user: str | None
    units: Sequence[str]
    """In the order in which they are started."""
    renewed: frozenset[str] = frozenset()
    """Those of them whose part of the configuration is another one than before."""


def plan(scope: Scope, wish: Wish, where: Places) -> Plan:
    """Decide what to install, on top of what was installed before. Raises UsageError, ConfigError,
    NotFoundError."""
    known = _installed(scope, where)
    mirrors = _mirrors(wish, known)
    mounts = _mounts(wish, known)
    if not mirrors and not mounts:
        raise UsageError("there is nothing to do: name a folder or a --mount")
    user = _user(scope, wish, mirrors) if scope.system else None
    url, own_hub = _remote(scope, wish, known)
    text = configuration(url, mirrors, mounts, shared=scope.system)
    wanted = parsed(text, where)  # what the units would refuse after a boot is refused now
    files = [File(path=scope.config, text=text)]
    if wish.token or not scope.token.exists():
        token = wish.token or secrets.token_urlsafe(32)
        files.append(File(path=scope.token, text=f"{token}\n", mode=0o600, secret=True))
    if own_hub:
        port = url.rpartition(":")[2]
        words = [*PYTHON, "hub", "--port", port, "--token-file", CREDENTIAL]
        files += _unit(scope, HUB, drop_in(words))
    named = [] if scope.system else ["--config", str(scope.config)]
    roots = [mirror.root for mirror in mirrors] if scope.system else []
    files += _unit(scope, DAEMON, drop_in([*PYTHON, "run", *named], user=user, writable=roots))
    served = {instance(shown.path): shown.path for shown in mounts}
    made = [path for path in served.values() if not _there(path)]
    for unit, path in served.items():
        words = [*PYTHON, "run", *named, "--mount", "%f"]
        before = made_by(_added(scope, unit))
        addition = drop_in(words, user=user, made=path if path in made else before)
        files += [_shipped(scope, MOUNT), File(path=scope.drop_in(unit), text=addition)]
    return Plan(
        files=list(dict.fromkeys(files)), folders=made, user=user,
        units=[*([HUB] if own_hub else []), DAEMON, *served],
        renewed=frozenset(unit for unit, path in served.items() if _said(known, path)
                          != _said(wanted, path)),
    )  # fmt: skip


def instance(path: Path) -> str:
    """The unit that serves the mount on a path."""
    found = subprocess.run(  # noqa: S603 - its words are ours but for the path
        ["systemd-escape", "--path", f"--template={MOUNT}", str(path)],  # noqa: S607
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return found.stdout.strip()


def _installed(scope: Scope, where: Places) -> Config:
    """What an earlier installation wrote; raises ConfigError where a person wrote it."""
    if not scope.config.exists():
        return Config()
    if not scope.config.read_text().startswith(STAMP):
        raise ConfigError(
            "was changed by hand: it is left as it is", path=str(scope.config),
            hint=f"add the [[mirror]] or [[mount]] there, then {' '.join(scope.control)}"
            f" reload {DAEMON}",
        )  # fmt: skip
    return load(where)


def _said(config: Config, path: Path) -> object:
    """All that a configuration says about one mount."""
    entries = [entry for entry in config.mounts if entry.path == path]
    return entries, config.remote, config.remotes


def _added(scope: Scope, unit: str) -> str:
    """The drop-in of an earlier installation, empty where there is none."""
    try:
        return scope.drop_in(unit).read_text()
    except FileNotFoundError:
        return ""


def _there(path: Path) -> bool:
    """Whether something has this name, a mount that refuses everybody included."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _mirrors(wish: Wish, known: Config) -> list[Mirrored]:
    found = {
        entry.root: Mirrored(root=entry.root, dataset=entry.dataset or entry.root.name)
        for entry in known.mirrors
    }
    for folder in wish.folders:
        found[folder] = Mirrored(root=folder, dataset=checked_name(folder.name))
    return list(found.values())


def _mounts(wish: Wish, known: Config) -> list[Shown]:
    found = {entry.path: Shown(path=entry.path, dataset=entry.dataset) for entry in known.mounts}
    return list((found | {shown.path: shown for shown in wish.mounts}).values())


def _user(scope: Scope, wish: Wish, mirrors: Sequence[Mirrored]) -> str:
    """Who the service runs as; raises UsageError where that is not clear or cannot work."""
    owners = {reach.owner(mirror.root) for mirror in mirrors if mirror.root.exists()}
    said = wish.run_as or user_of(_added(scope, DAEMON))
    if said is None and len(owners) > 1:
        raise UsageError(
            f"the folders belong to {' and '.join(sorted(owners))}", hint="say --run-as USER"
        )
    user = said or (owners.pop() if owners else reach.owner(Path.home()))
    reach.check_user(user)
    reach.check_program(user)
    for mirror in mirrors:
        if mirror.root.exists():
            reach.check_folder(user, mirror.root)
    return user


def _remote(scope: Scope, wish: Wish, known: Config) -> tuple[str, bool]:
    """The hub's address, and whether it is to be installed here."""
    if wish.url:
        return wish.url.rstrip("/"), False
    before = known.remotes.get(REMOTE)
    if before is not None:
        return before.url, (scope.units / HUB).exists()
    if scope.system:
        reach.check_program(reach.NOBODY)  # the hub's user is made when it starts
    return f"http://127.0.0.1:{_free_port()}", True


def _free_port() -> int:
    for port in (PORT, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
            except OSError:
                continue
    raise UsageError("no port is free on this machine")


def _unit(scope: Scope, name: str, addition: str) -> list[File]:
    return [_shipped(scope, name), File(path=scope.drop_in(name), text=addition)]


def _shipped(scope: Scope, name: str) -> File:
    return File(path=scope.units / name, text=(scope.templates / name).read_text())
