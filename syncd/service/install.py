"""Carries out a plan, takes it back, and says how the installed units are.

Every command that fails is told with its own last words. A second installation adds to the first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from syncd.config.load import load
from syncd.config.parts import MirrorEntry
from syncd.config.places import Places
from syncd.engine.opening import Target
from syncd.engine.options import Options
from syncd.errors import StateError, SyncdError
from syncd.local.root import MARKER
from syncd.service.plan import File, Plan
from syncd.service.reach import home_of
from syncd.service.scope import DAEMON, DROP_IN, HUB, MOUNT, Scope
from syncd.service.text import REMOTE, STAMP, made_by
from syncd.state.lock import holder
from syncd.state.report import mirrors, status
from syncd.value import value

RUNTIME = Path("/run/syncd-mount")
"""What systemd leaves of a runtime directory with a folder for each mount."""
START_S = 60.0
PAUSE_S = 0.1
SETTLED = ("active", "inactive", "failed")
FORGIVEN = ("reset-failed",)
"""It fails for a unit that systemd has not read so far."""
_NO_REASON = ("Start", "Stop", "Failed to start", "Reload", "mount ended")
"""How lines of the journal begin that only say that something happened."""


@value
class UnitState:
    """How one unit is, in systemd's own words."""

    name: str
    active: str
    text: str
    restarts: int
    enabled: str


def install(scope: Scope, plan: Plan) -> None:
    """Write, enable and start all of a plan; what did not change goes on undisturbed.

    Raises StateError for what does not start in START_S seconds.
    """
    told = commands(scope, plan)
    for file in plan.files:
        _write(file)
    for folder in plan.folders:
        folder.mkdir(parents=True, exist_ok=True)
        if plan.user:
            shutil.chown(folder, plan.user)
    for words in told:
        _control(scope, *words, check=words[0] not in FORGIVEN)
    until = time.monotonic() + START_S
    for unit in plan.units:
        _await(scope, unit, until)


def commands(scope: Scope, plan: Plan) -> list[tuple[str, ...]]:
    """What systemctl is told once a plan's files are written; to be asked before."""
    changed = {file.path for file in plan.files if _differs(file)}
    told: list[tuple[str, ...]] = [("daemon-reload",)]
    for unit in plan.units:
        shipped = MOUNT if unit not in (HUB, DAEMON) else unit
        renewed = changed & {scope.units / shipped, scope.drop_in(unit), scope.token}
        if renewed or unit in plan.renewed:
            verb = "restart"
        elif unit == DAEMON and scope.config in changed and _active(scope):
            verb = "reload"
        else:
            verb = "start"
        # A mount may take in a million names before it answers: it is not waited for here.
        told += [("enable", unit), ("reset-failed", unit), (verb, "--no-block", unit)]
    return told


def uninstall(scope: Scope, where: Places) -> list[str]:
    """Stop and remove all that was installed; what is kept, a sentence each."""
    kept = _forget_mirrors(scope, where)
    units = installed(scope)
    made = [folder for unit in units if (folder := _made(scope.drop_in(unit)))]
    for unit in reversed(units):
        _control(scope, "disable", "--now", unit)
    for unit in units if scope.system else []:
        what = "--what=cache" if unit == HUB else "--what=all"
        _control(scope, "clean", what, unit, check=False)
    kept += [] if scope.system else _forget_mounts(where)
    for name in (*units, MOUNT):
        (scope.units / name).unlink(missing_ok=True)
        shutil.rmtree(scope.units / f"{name}.d", ignore_errors=True)
    _control(scope, "daemon-reload")
    _control(scope, "reset-failed", *units, check=False)
    for folder in made:
        with suppress(OSError):
            folder.rmdir()
    if scope.config.exists() and not scope.config.read_text().startswith(STAMP):
        kept.append(f"{scope.config} and {scope.token}: the configuration was changed by hand")
    else:
        scope.config.unlink(missing_ok=True)
        scope.token.unlink(missing_ok=True)
    for folder in (scope.config.parent, *([RUNTIME] if scope.system else [])):
        with suppress(OSError):
            folder.rmdir()
    data = Path("/var/lib/syncd-hub") if scope.system else where.hub_data
    return kept + ([f"{data}: all datasets of the hub"] if data.exists() else [])


def installed(scope: Scope) -> list[str]:
    """The units of ours that are there, in the order in which they start."""
    units = [name for name in (HUB, DAEMON) if (scope.units / name).exists()]
    mounts = scope.units.glob(MOUNT.replace("@", "@?*") + f".d/{DROP_IN}")
    return units + sorted(path.parent.name.removesuffix(".d") for path in mounts)


def states(scope: Scope) -> list[UnitState]:
    """How every installed unit is."""
    return [_state(scope, unit) for unit in installed(scope)]


def _state(scope: Scope, unit: str) -> UnitState:
    wanted = ("ActiveState", "StatusText", "NRestarts", "UnitFileState", "Result")
    found = _properties(scope, unit, *wanted)
    failed = found.get("ActiveState") == "failed"
    return UnitState(
        name=unit,
        active=found.get("ActiveState", "unknown"),
        text=f"ended: {found.get('Result')}" if failed else found.get("StatusText", ""),
        restarts=int(found.get("NRestarts") or 0),
        enabled=found.get("UnitFileState", ""),
    )


def _forget_mirrors(scope: Scope, where: Places) -> list[str]:
    """Take away what lies in the watched folders and, for a user, in the common state folder."""
    try:
        entries = load(where).mirrors
    except SyncdError as error:
        return [f"{where.config_file}: {error}"]
    kept = []
    for entry in entries:
        root = entry.root
        if not scope.system:
            _control(scope, "stop", DAEMON, check=False)
            shutil.rmtree(_state_of(entry, where), ignore_errors=True)
        if _mirrored_otherwise(root):
            kept.append(f"{root / MARKER}: another syncd knows the folder by it")
        else:
            _control(scope, "stop", DAEMON, check=False)
            with suppress(OSError):
                (root / MARKER).unlink()
    return kept


def _state_of(entry: MirrorEntry, where: Places) -> Path:
    """Where a user's service, and no command of that user, keeps the state of a mirror."""
    name = entry.dataset or entry.root.name
    target = Target(root=entry.root, remote=REMOTE, dataset=name, options=Options())
    return target.folder(where.mirrors)


def _forget_mounts(where: Places) -> list[str]:
    """Take away a user's caches, unless a mount of a command still uses them."""
    locks = where.state / "mounts"
    if any(holder(folder) is not None for folder in locks.glob("*")):
        return [f"{where.cache}: another mount uses it"]
    for folder in (*where.cache.glob("blocks*"), where.cache / "mounts", locks):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (where.cache, where.mirrors, where.state):
        with suppress(OSError):
            folder.rmdir()
    return []


def _mirrored_otherwise(root: Path) -> bool:
    """Whether the folder's owner mirrors it by a command as well."""
    with suppress(OSError, KeyError, SyncdError):
        own = home_of(root) / ".local/state/syncd/mirrors"
        return any(status(folder).root == str(root) for folder in mirrors(own))
    return False


def _made(addition: Path) -> Path | None:
    with suppress(OSError):
        return made_by(addition.read_text())
    return None


def _differs(file: File) -> bool:
    with suppress(OSError):
        return file.path.read_text() != file.text
    return True


def _write(file: File) -> None:
    """Put a file in place at once and whole, where it is another one than before."""
    if not _differs(file):
        return
    file.path.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.path.with_name(f".{file.path.name}.new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file.mode)
    with os.fdopen(fd, "w") as out:
        os.fchmod(fd, file.mode)
        out.write(file.text)
    fresh.replace(file.path)


def _active(scope: Scope) -> bool:
    return _control(scope, "is-active", DAEMON, check=False) == "active"


def _await(scope: Scope, unit: str, until: float) -> None:
    """Look until a unit runs; StateError with its last words where it ended, or is late."""
    while True:
        found = _properties(scope, unit, "ActiveState", "Job")
        settled = not found.get("Job") and found.get("ActiveState") in SETTLED
        if settled and found["ActiveState"] == "active":
            return
        if settled or time.monotonic() > until:
            why = "does not run" if settled else f"did not start in {START_S:.0f} s and tries on"
            raise StateError(f"{unit} {why}", hint=_last_words(scope, unit))
        time.sleep(PAUSE_S)


def _properties(scope: Scope, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit; one that is empty may be missing."""
    said = _control(scope, "show", "-p", ",".join(names), unit)
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def _control(scope: Scope, *words: str, check: bool = True) -> str:
    command: Sequence[str] = (*scope.control, *words)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise StateError("this machine is not run by systemd: there is no systemctl") from error
    if check and done.returncode:
        said = done.stderr.strip().partition("\n")[0] or f"status {done.returncode}"
        raise StateError(
            f"`{' '.join(command)}` failed: {said}", hint=_last_words(scope, words[-1])
        )
    return done.stdout.strip()


def _last_words(scope: Scope, unit: str) -> str:
    """What a unit itself said last, as far as the journal tells."""
    whose = ["-u", unit] if scope.system else ["--user-unit", unit]
    words = ["journalctl", "-o", "cat", "-n", "20", "--no-pager", "-q", *whose]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    own = [line for line in done.stdout.splitlines() if not line.startswith((unit, *_NO_REASON))]
    return own[-1] if own else f"journalctl -u {unit} tells more"
