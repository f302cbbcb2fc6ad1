"""One mount of a configuration in a unit of its own: `syncd run --mount PATH`.

Ready is said only when somebody asked the mount and was answered; the watchdog is fed only while
it goes on to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from syncd.config.load import load
from syncd.config.parts import MountEntry
from syncd.config.places import Places
from syncd.daemon.sayings import Voice
from syncd.daemon.service import Service
from syncd.daemon.tended import Mounts
from syncd.errors import ConfigError


class LoneMount(Service):
    """A service without mirrors, and with one mount."""

    def __init__(self, where: Places, path: Path, voice: Voice, told: Sequence[str] = ()) -> None:
        super().__init__(where, (), voice, again_s=None)
        self._mounts = Mounts(where, [_entry(where, path)], told)
        self._ready_said = False

    def begin(self) -> None:
        self._mounts.begin()

    def look(self) -> bool:
        alive = self._mounts.look()
        if not self._ready_said and self._mounts.served:
            self._ready_said = True
            self.notifier.ready()
        return alive

    @property
    def over(self) -> bool:
        return self._mounts.refused is not None

    @property
    def status(self) -> int:
        """The exit status: that of the mount's own server where it ended for good."""
        return self._mounts.refused or 0

    def summary(self) -> str:
        path = next(iter(self._mounts.wanted)).path
        return f"{path} answers" if self._mounts.served else f"{path} is not mounted so far"

    def end(self) -> None:
        self._mounts.end()
        super().end()


def _entry(where: Places, path: Path) -> MountEntry:
    entries = {entry.path: entry for entry in load(where).mounts}
    wanted = path.absolute().parent.resolve() / path.name
    if wanted not in entries:
        known = ", ".join(map(str, entries)) or "none"
        raise ConfigError(
            f"no [[mount]] has the path {wanted}: there is {known}", path=str(where.config_file)
        )
    return entries[wanted]
