"""The texts of what is installed: the configuration and the drop-ins. Pure.

Every name is quoted for the language it is written in: a folder may be called anything.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from syncd.value import value

STAMP = "# Written by `syncd service install`; remove this line to keep your own changes."
WRITTEN = "# Written by `syncd service install`."
MADE = "# made by the installation: "
USER = "User="
REMOTE = "local"
"""The name under which an installation knows its hub."""


@value
class Mirrored:
    """A folder and its dataset."""

    root: Path
    dataset: str


@value
class Shown:
    """A mount and its dataset, None being all of them."""

    path: Path
    dataset: str | None


def configuration(
    url: str, mirrors: Sequence[Mirrored], mounts: Sequence[Shown], *, shared: bool
) -> str:
    """The TOML file; `shared` lets all users read the mounts."""
    lines = [STAMP, f'remote = "{REMOTE}"', "", f"[remotes.{REMOTE}]", f"url = {_toml(url)}"]
    lines += ['token = { credential = "token" }']
    for mirror in mirrors:
        lines += ["", "[[mirror]]", f"root = {_toml(str(mirror.root))}"]
        lines += [f"dataset = {_toml(mirror.dataset)}"]
    for shown in mounts:
        lines += ["", "[[mount]]", f"path = {_toml(str(shown.path))}"]
        lines += [f"dataset = {_toml(shown.dataset)}"] if shown.dataset else []
        lines += ["allow_other = true"] if shared else []
    return "\n".join(lines) + "\n"


def drop_in(
    command: Sequence[str],
    *,
    user: str | None = None,
    writable: Sequence[Path] = (),
    made: Path | None = None,
) -> str:
    """What a machine adds to a unit: who runs it, with which interpreter, and what it may write."""
    lines = [WRITTEN, *([f"{MADE}{made}"] if made else []), "[Service]"]
    lines += [USER + user] if user else []
    lines += ["ExecStart=", f"ExecStart={' '.join(map(word, command))}"]
    # Without the dash a folder that is not there now would keep the unit from starting.
    lines += [f"ReadWritePaths={_quoted(f'-{folder}')}" for folder in writable]
    return "\n".join(lines) + "\n"


def made_by(addition: str) -> Path | None:
    """The mount point that an installation made, as its drop-in notes it."""
    found = [line for line in addition.splitlines() if line.startswith(MADE)]
    return Path(found[0].removeprefix(MADE)) if found else None


def user_of(addition: str) -> str | None:
    """Who runs a unit, as its drop-in says."""
    found = [line for line in addition.splitlines() if line.startswith(USER)]
    return found[0].removeprefix(USER) if found else None


def word(text: str) -> str:
    """One word of a command. Specifiers and variables that are meant begin with `%` or `${`."""
    if text.startswith(("%", "${")):
        return text
    return _quoted(text).replace("$", "$$")


def _quoted(text: str) -> str:
    """As in any line that takes several words; variables are known in commands alone."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = "".join(c if c >= " " and c != "\x7f" else f"\\x{ord(c):02x}" for c in escaped)
    plain = all(c.isalnum() or c in "/._-:=+@" for c in text)
    return text if plain else f'"{escaped}"'


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
