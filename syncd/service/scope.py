"""Whose service it is: the machine's or one user's, and so where everything lies.

A scope is a table of places and the command that reaches its service manager.
"""

from __future__ import annotations

from pathlib import Path

from syncd.config.places import places
from syncd.value import value

HUB = "syncd-hub.service"
DAEMON = "syncd.service"
MOUNT = "syncd-mount@.service"
DROP_IN = "10-install.conf"


@value
class Scope:
    """`templates` are the units as they are shipped."""

    system: bool
    units: Path
    config: Path
    token: Path
    templates: Path

    @property
    def control(self) -> tuple[str, ...]:
        return ("systemctl",) if self.system else ("systemctl", "--user")

    def drop_in(self, unit: str) -> Path:
        """Where what this machine adds to a unit is written."""
        return self.units / f"{unit}.d" / DROP_IN


def machine() -> Scope:
    """The service of the whole machine."""
    return Scope(
        system=True,
        units=Path("/etc/systemd/system"),
        config=Path("/etc/syncd/config.toml"),
        token=Path("/etc/syncd/token"),
        templates=_templates() / "system",
    )


def own() -> Scope:
    """The service of the user who calls."""
    config = places().config
    return Scope(
        system=False,
        units=config.parent / "systemd/user",
        config=config / "service.toml",
        token=config / "token",
        templates=_templates() / "user",
    )


def _templates() -> Path:
    """Beside the package where it was installed, else in the checkout that it runs from."""
    package = Path(__file__).parents[1]
    installed = package / "units"
    return installed if installed.is_dir() else package.parent / "systemd"
