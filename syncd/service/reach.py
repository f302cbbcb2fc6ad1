"""Whether the user of a service can get at what it needs: the program and the folders.

Found out by trying it as that user, so that rights, groups and lists of access all count.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from syncd.errors import NotFoundError, UsageError

NOBODY = "nobody"


def owner(folder: Path) -> str:
    """The user that a folder belongs to. Raises UsageError where it has no name."""
    number = folder.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError as error:
        raise UsageError(
            f"belongs to user {number}, who has no name here", path=str(folder),
            hint="say --run-as USER",
        ) from error  # fmt: skip


def check_user(name: str) -> None:
    """Raise NotFoundError for a user who is not there."""
    try:
        pwd.getpwnam(name)
    except KeyError as error:
        raise NotFoundError(f"there is no user {name!r} on this machine") from error


def check_program(user: str) -> None:
    """Raise UsageError where a user cannot run this interpreter with syncd in it."""
    said = _tried(user, [sys.executable, "-c", "import syncd.cli.main"])
    if said is not None:
        raise UsageError(
            f"the user {user} cannot run {sys.executable} with syncd: {said}",
            hint="install syncd where every user can read it, as in /opt, and install from there",
        )


def check_folder(user: str, folder: Path) -> None:
    """Raise UsageError where a user cannot list and enter a folder."""
    said = _tried(user, ["test", "-r", str(folder), "-a", "-x", str(folder)])
    if said is not None:
        raise UsageError(
            f"the user {user} cannot read this folder", path=str(folder),
            hint="say --run-as USER, or mend its rights",
        )  # fmt: skip


def _tried(user: str, command: Sequence[str]) -> str | None:
    """The last line that a failing command said; None where it went well."""
    known = pwd.getpwnam(user)
    groups = os.getgrouplist(user, known.pw_gid)
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command, user=known.pw_uid, group=known.pw_gid, extra_groups=groups, cwd="/",
            capture_output=True, text=True, errors="replace", check=False, timeout=60,
            env={"PATH": os.defpath, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return None
    return done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}"


def home_of(folder: Path) -> Path:
    """The home of a folder's owner; raises KeyError, OSError."""
    return Path(pwd.getpwuid(folder.stat().st_uid).pw_dir)
