"""A token by reference: a variable, a file, or a credential that systemd handed to the unit.

Read by `load`, revealed by whoever makes a client. The secret itself is never kept, shown or
logged; what is shown is where it comes from.
"""

from __future__ import annotations

import os
from pathlib import Path

from syncd.errors import ConfigError
from syncd.value import value

KINDS = ("env", "file", "credential")


@value
class Secret:
    """Exactly one of a variable's name, a file's path and a credential's name."""

    env: str | None = None
    file: str | None = None
    credential: str | None = None

    def reveal(self) -> str:
        """The secret itself. Raises ConfigError where it is not to be had."""
        if self.env:
            value = os.environ.get(self.env)
            if not value:
                raise ConfigError(f"the variable {self.env} is not set")
            return value
        if self.credential:
            return _read(_credential(self.credential))
        return _read(Path(self.file or "").expanduser())

    @property
    def elsewhere(self) -> bool:
        """Whether only a unit has it, and this is none."""
        return bool(self.credential) and not os.environ.get("CREDENTIALS_DIRECTORY")

    def __repr__(self) -> str:
        said = [f"{n}={value!r}" for n in KINDS if (value := getattr(self, n)) is not None]
        return f"Secret({', '.join(said)})"


def _credential(name: str) -> Path:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ConfigError(
            f"the credential {name} is there only inside a unit that loads it",
            hint="outside of it, give the token by --token-file or SYNCD_TOKEN_FILE",
        )
    return Path(folder) / name


def _read(file: Path) -> str:
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"the token cannot be read: {why}", path=str(file)) from error
    if not secret:
        raise ConfigError("is empty where a token is wanted", path=str(file))
    return secret
