"""What `syncd status` tells of sidecars; read beside whoever writes the state file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from syncd.annotation.model import SUFFIX
from syncd.state.sidecars import Sidecar, ignored, row_at, troubles
from syncd.state.troubles import Trouble
from syncd.value import value

_RULE = f"extension {SUFFIX}"
"""By which rule a file is left out that might have been a sidecar and is none."""


@value
class Told:
    """Sidecars that are not set, and how many files are named like one and are none."""

    troubles: tuple[Trouble, ...] = ()
    others: int = 0

    def counted(self, by_rule: Mapping[str, int]) -> dict[str, int]:
        """The number of files no rule took, with those that a scan could not tell."""
        if not self.others:
            return dict(by_rule)
        return {**by_rule, _RULE: by_rule.get(_RULE, 0) + self.others}


def sidecars_told(sql: sqlite3.Connection, *, able: bool) -> Told:
    """Where the remote is not `able` to keep annotations, that is told once, and not per file."""
    if not _known(sql):
        return Told()
    others = ignored(sql, able=able)
    if able:
        return Told(troubles=tuple(troubles(sql)), others=others)
    first = sql.execute("SELECT dir, name FROM sidecars WHERE gone IS NULL LIMIT 1").fetchone()
    if first is None:
        return Told()
    path = "/".join(filter(None, first)) + SUFFIX
    reason = f"the remote keeps no annotations: {others} such files are left alone"
    return Told(troubles=(Trouble(path=path, kind="held", reason=reason),), others=others)


def sidecar_at(sql: sqlite3.Connection, path: str) -> Sidecar | None:
    """The row of a sidecar's path."""
    return row_at(sql, path) if _known(sql) else None


def _known(sql: sqlite3.Connection) -> bool:
    """Not so in the file of an older syncd."""
    found = sql.execute("SELECT 1 FROM sqlite_master WHERE name = 'sidecars'")
    return found.fetchone() is not None
