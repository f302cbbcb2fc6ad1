"""Looks at the machine and the setup, and says what mends what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from syncd.client import Client
from syncd.config.load import load
from syncd.config.places import Places, places
from syncd.daemon.machine import MACHINE, Finding, mending, nearest, safely
from syncd.daemon.remote import resolve
from syncd.errors import DeniedError, SyncdError
from syncd.local.mounts import mounts_of
from syncd.remotes.hub import HubRemote
from syncd.state.report import DAMAGED, MirrorStatus, examined, mirrors, status

RUNS = ("active", "activating", "reloading")
UNITS = ("syncd.service", "syncd-hub.service")
MOUNT_UNITS = "syncd-mount@"
ASK_S = 5.0


def findings(remote: str | None = None, token_file: Path | None = None) -> list[Finding]:
    """Everything there is to check; never raises."""
    where = places()

    def _remote(where: Places) -> Finding:
        with Client(remote, token_file=token_file, where=where) as client:
            return _asked("remote", client.remote)

    found = [safely(check, where) for check in (*MACHINE, config, _remote)]
    # Without a configuration that can be read there is nothing to be asked about it.
    if all(one.ok for one in found if one.check == "config"):
        found += _others(where, token_file)
    return [*found, safely(states, where), *_roots(where), *_units()]


def config(where: Places) -> Finding:
    load(where)
    found = "read" if where.config_file.exists() else "none, the defaults hold"
    return Finding(check="config", ok=True, detail=f"{where.config_file}: {found}")


def states(where: Places) -> Finding:
    folders = mirrors(where.mirrors)
    for folder in folders:
        status(folder)
    writable = os.access(nearest(where.state), os.W_OK)
    return Finding(
        check="state", ok=writable, detail=f"{len(folders)} mirrors in {where.mirrors}",
        mend="" if writable else f"sudo chown -R {os.geteuid()} {quote(str(where.state))}",
    )  # fmt: skip


def _asked(check: str, remote: HubRemote) -> Finding:
    try:
        remote.check()
    except DeniedError as error:
        return Finding(
            check=check, ok=False, detail=f"{remote.url} answers, but refuses us: {error.message}",
            mend=f"syncd doctor --remote {quote(remote.url)} --token-file FILE",
        )  # fmt: skip
    except SyncdError as error:
        return Finding(
            check=check, ok=False, detail=str(error),
            mend=f"curl {remote.url}/health",
        )  # fmt: skip
    return Finding(check=check, ok=True, detail=f"{remote.url} answers, and lets us in")


def _others(where: Places, token_file: Path | None) -> Iterator[Finding]:
    """The remotes that the configuration names, each with its own token where it is to be had."""
    for name, known in load(where).remotes.items():
        file = token_file if known.token and known.token.elsewhere else None
        try:
            found = resolve(name, token=None, token_file=file, where=where)
            remote = HubRemote(found.url or "", found.token, trust=found.trust)
        except SyncdError as error:
            mend = mending(error, where)
            yield Finding(check=f"remote {name}", ok=False, detail=str(error), mend=mend)
            continue
        try:
            yield _asked(f"remote {name}", remote)
        finally:
            remote.close()


def _roots(where: Places) -> Iterator[Finding]:
    """The mirrored folders, and what they lie on."""
    known = [examined(folder) for folder in mirrors(where.mirrors)]
    # That a state file cannot be read is a finding of its own.
    yield from (_root(mirror) for mirror in known if mirror.state != DAMAGED)


def _root(mirror: MirrorStatus) -> Finding:
    root, check = Path(mirror.root), f"folder {mirror.root}"
    if not root.is_dir():
        unit = f'"$(systemd-escape --path --suffix=mount {quote(mirror.root)})"'
        mend = f"sudo systemctl start {unit}; ls -ld {quote(mirror.root)}"
        return Finding(check=check, ok=False, detail="is not there", mend=mend)
    if not os.access(root, os.R_OK | os.X_OK):
        mend = f"sudo setfacl -R -m u:{os.geteuid()}:rX {quote(mirror.root)}"
        return Finding(check=check, ok=False, detail="cannot be read", mend=mend)
    lies_on = mounts_of(os.fsencode(root))
    types = ", ".join(dict.fromkeys(mount.type for mount in lies_on)) or "an unknown file system"
    if any(mount.elsewhere for mount in lies_on):
        return Finding(
            check=check,
            ok=True,
            detail=f"on {types}: scanned, not watched: other machines may change it",
        )
    owner = root.stat().st_uid
    note = (
        "" if owner == os.geteuid() or os.geteuid() == 0 else "; not ours: no leases on its files"
    )
    return Finding(check=check, ok=True, detail=f"on {types}: watched{note}")


def _units() -> Iterator[Finding]:
    """The units of this machine and this user, where there are any."""
    if not shutil.which("systemctl"):
        return
    for scope in ("--system", "--user"):
        for unit in (*UNITS, *_mounts(scope)):
            found = _properties(scope, unit)
            if found.get("LoadState") == "loaded":
                yield _unit(scope, unit, found)


def _unit(scope: str, unit: str, found: dict[str, str]) -> Finding:
    state, restarts = found.get("ActiveState", "unknown"), found.get("NRestarts", "0")
    # One that waits for its next start has failed, though it counts as activating.
    ok = state in RUNS and found.get("SubState") != "auto-restart"
    # The name of a mount's unit may hold a backslash, which a shell would take for itself.
    user, name = " --user" if scope == "--user" else "", quote(unit)
    return Finding(
        check=f"unit {unit}", ok=ok,
        detail=f"{state} ({found.get('Result', '')}), restarted {restarts} times",
        mend="" if ok else f"journalctl{user} -u {name} -n 50; systemctl{user} restart {name}",
    )  # fmt: skip


def _mounts(scope: str) -> list[str]:
    """The units of mounts that this systemd knows."""
    said = _said(scope, "list-units", "--all", "--plain", "--no-legend", f"{MOUNT_UNITS}*")
    names = [line.split()[0] for line in said.splitlines() if line.strip()]
    return [name for name in names if name.startswith(MOUNT_UNITS)]


def _properties(scope: str, unit: str) -> dict[str, str]:
    said = _said(scope, "show", unit, "-p", "LoadState,ActiveState,SubState,Result,NRestarts")
    return dict(line.partition("=")[::2] for line in said.splitlines() if "=" in line)


def _said(scope: str, *words: str) -> str:
    """What systemctl says; nothing where it does not answer."""
    try:
        return subprocess.run(  # noqa: S603 - our own words only
            ["systemctl", scope, *words],  # noqa: S607 - the one of this machine
            capture_output=True, text=True, timeout=ASK_S, check=False,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
