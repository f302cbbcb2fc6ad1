"""What was seen of sidecars and where they were set: the `sidecars` table.

A row is keyed by its picture's path, so that whatever becomes of the picture's row finds it; the
triggers that wake it are made only where there are sidecars, and a tree without them pays nothing.
`brought` is written before anything is sent: what a killed run may have sent is known to be ours.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from syncd.annotation.model import SUFFIX
from syncd.model import Stat
from syncd.state.troubles import Trouble, split
from syncd.value import value

_COLUMNS = (
    "dir, name, size, mtime_ns, inode, gone, digest, kind, item_id, applied, brought, reason,"
    " tries, due"
)
_SAME = "(size, mtime_ns, inode) = (excluded.size, excluded.mtime_ns, excluded.inode)"
_SEE = f"""
INSERT INTO sidecars (dir, name, size, mtime_ns, inode, due) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (dir, name) DO UPDATE SET
  digest = CASE WHEN {_SAME} THEN digest END,
  kind = CASE WHEN {_SAME} THEN kind ELSE 'unread' END,
  reason = CASE WHEN {_SAME} THEN reason END,
  tries = CASE WHEN {_SAME} THEN tries ELSE 0 END,
  size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
  gone = NULL, due = excluded.due
"""  # noqa: S608

# What a picture's row comes to, its sidecar hears: settled, given an item, or dropped.
_WAKERS = (
    "CREATE TEMP TRIGGER IF NOT EXISTS sidecar_settled AFTER UPDATE OF due, item_id ON main.files"
    " WHEN new.due IS NULL OR new.item_id IS NOT old.item_id BEGIN"
    " UPDATE sidecars SET due = 0 WHERE dir = new.dir AND name = new.name AND due IS NULL;"
    " UPDATE sidecars SET due = 0 WHERE item_id = new.item_id AND gone IS NOT NULL"
    " AND due IS NULL; END",
    "CREATE TEMP TRIGGER IF NOT EXISTS sidecar_dropped AFTER DELETE ON main.files"
    " WHEN old.item_id IS NOT NULL BEGIN"
    " UPDATE sidecars SET due = 0 WHERE item_id = old.item_id AND due IS NULL; END",
)


@value
class Sidecar:
    """One file that is named like a sidecar; `applied` is the content that is set on `item_id`."""

    picture: str
    stat: Stat
    gone: int | None
    digest: str | None
    kind: str
    item_id: str | None
    applied: str | None
    brought: tuple[str, ...]
    reason: str | None
    tries: int
    due: int | None

    @property
    def path(self) -> str:
        return self.picture + SUFFIX


class Sidecars:
    """Part of an open `State`: same connection, same transaction."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self.wakes = Wakes(sql)
        self.any = False
        """There may be rows; where not, nothing here needs to be asked."""
        self.recall()

    def recall(self) -> None:
        """Find out whether there are rows, as after the file was read or emptied by others."""
        self.any = self._sql.execute("SELECT 1 FROM sidecars LIMIT 1").fetchone() is not None
        if self.any:
            self._arm()

    def observed(self, folder: str) -> dict[str, Stat]:
        """What is known to be in one folder, by file name."""
        rows = self._sql.execute(
            "SELECT name, size, mtime_ns, inode FROM sidecars WHERE dir = ? AND gone IS NULL",
            (folder,),
        )
        return {name + SUFFIX: (size, mtime, inode) for name, size, mtime, inode in rows}

    def below(self, folder: str) -> Iterator[str]:
        """Every folder at or below `folder` that has known sidecars."""
        rows = self._sql.execute(
            "SELECT DISTINCT dir FROM sidecars WHERE gone IS NULL"
            " AND (? = '' OR dir = ? OR (dir > ? AND dir < ?))",
            (folder, folder, f"{folder}/", f"{folder}0"),
        )
        return (row[0] for row in rows.fetchall())

    def see(self, folder: str, seen: Mapping[str, Stat], due: int) -> None:
        """Record sidecars, by file name, as they are now."""
        self._sql.executemany(
            _SEE,
            [(folder, n.removesuffix(SUFFIX), *stat, due) for n, stat in seen.items()],
        )
        if not self.any:
            self.any = True
            self._arm()

    def miss(self, folder: str, names: Iterable[str], now: int, due: int | None) -> None:
        """Record sidecars as gone; those that brought nothing are forgotten at once."""
        gone = [(folder, name.removesuffix(SUFFIX)) for name in names]
        self._sql.executemany(
            "DELETE FROM sidecars WHERE dir = ? AND name = ? AND brought = '[]'", gone
        )
        self._sql.executemany(
            "UPDATE sidecars SET gone = ?, due = ? WHERE dir = ? AND name = ?",
            [(now, due, *picture) for picture in gone],
        )

    def at(self, path: str) -> Sidecar | None:
        """The row of a sidecar's own path."""
        return row_at(self._sql, path)

    def left(self, stat: Stat) -> Sidecar | None:
        """A sidecar that left its name and looks like this."""
        found = _select(
            self._sql,
            "gone IS NOT NULL AND inode = ? AND size = ? AND mtime_ns = ?",
            (stat[2], stat[0], stat[1]),
        )
        return found[0] if found else None

    def on(self, item_id: str) -> list[Sidecar]:
        """Those that were set on an item."""
        return _select(self._sql, "item_id = ?", (item_id,))

    def keep(self, sidecar: Sidecar) -> None:
        """Write a known row as it is to be."""
        self._sql.execute(
            "UPDATE sidecars SET size = ?, mtime_ns = ?, inode = ?, gone = ?, digest = ?, kind = ?,"
            " item_id = ?, applied = ?, brought = ?, reason = ?, tries = ?, due = ?"
            " WHERE dir = ? AND name = ?",
            (*sidecar.stat, sidecar.gone, sidecar.digest, sidecar.kind, sidecar.item_id,
             sidecar.applied, json.dumps(sidecar.brought), sidecar.reason, sidecar.tries,
             sidecar.due, *split(sidecar.picture)),
        )  # fmt: skip

    def forget(self, sidecars: Iterable[Sidecar]) -> None:
        self._sql.executemany(
            "DELETE FROM sidecars WHERE dir = ? AND name = ?", [split(s.picture) for s in sidecars]
        )

    def troubles(self) -> list[Trouble]:
        """As `troubles`, of this table."""
        return troubles(self._sql)

    def ignored(self, *, able: bool) -> int:
        """As `ignored`, of this table."""
        return ignored(self._sql, able=able) if self.any else 0

    def _arm(self) -> None:
        for trigger in _WAKERS:
            self._sql.execute(trigger)


class Wakes:
    """When sidecars are next to be decided: the column `due`."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def due(self, now: int, limit: int) -> list[Sidecar]:
        """Those to decide by `now`; what may be taken away comes last."""
        return _select(
            self._sql,
            "due <= ? ORDER BY gone IS NOT NULL, due, dir, name LIMIT ?",
            (now, limit),
        )

    def next_due(self) -> int | None:
        """When the next one is due, in ns."""
        found = self._sql.execute("SELECT min(due) FROM sidecars WHERE due IS NOT NULL").fetchone()
        return int(found[0]) if found[0] is not None else None

    def hurry(self, due: int, beyond: int) -> None:
        """What waits for longer than `beyond` becomes due sooner: the clock was set."""
        self._sql.execute("UPDATE sidecars SET due = ? WHERE due > ?", (due, beyond))

    def gone(self, due: int) -> None:
        """Make those due that are gone: deleted, or the other half of a move."""
        self._sql.execute("UPDATE sidecars SET due = ? WHERE gone IS NOT NULL", (due,))

    def troubled(self, due: int) -> None:
        """Make those due that could not be set."""
        self._sql.execute("UPDATE sidecars SET due = ? WHERE reason IS NOT NULL", (due,))

    def doubted(self, due: int) -> None:
        """Make all due: the remote was restored, and none surely is what was set there."""
        self._sql.execute("UPDATE sidecars SET due = ?, applied = NULL", (due,))


def row_at(sql: sqlite3.Connection, path: str) -> Sidecar | None:
    """The row of a sidecar's own path."""
    found = _select(sql, "dir = ? AND name = ?", split(path.removesuffix(SUFFIX)))
    return found[0] if found and path.endswith(SUFFIX) else None


def troubles(sql: sqlite3.Connection) -> list[Trouble]:
    """Those that are not set and do not merely wait for their picture, in path order."""
    rows = _select(
        sql,
        "gone IS NULL AND kind <> 'other' AND (reason IS NOT NULL OR due IS NOT NULL)"
        " ORDER BY dir, name",
        (),
    )
    return [
        Trouble(
            path=row.path, kind="failed", reason=row.reason or "annotations not set yet",
            tries=row.tries, retry_ns=row.due,
        )
        for row in rows
    ]  # fmt: skip


def ignored(sql: sqlite3.Connection, *, able: bool) -> int:
    """How many are no sidecars; all of them where the remote is not able to keep annotations."""
    found = sql.execute(
        "SELECT count(*) FROM sidecars WHERE gone IS NULL AND (kind = 'other' OR NOT ?)", (able,)
    )
    return int(found.fetchone()[0])


def _select(sql: sqlite3.Connection, where: str, values: Sequence[object]) -> list[Sidecar]:
    found = sql.execute(f"SELECT {_COLUMNS} FROM sidecars WHERE {where}", values)  # noqa: S608
    return [_sidecar(values) for values in found]


def _sidecar(values: Sequence[Any]) -> Sidecar:
    folder, name, size, mtime, inode, gone, digest, kind, item, applied, brought, *rest = values
    reason, tries, due = rest
    return Sidecar(
        picture=f"{folder}/{name}" if folder else str(name),
        stat=(size, mtime, inode), gone=gone, digest=digest, kind=kind, item_id=item,
        applied=applied, brought=tuple(json.loads(str(brought))), reason=reason, tries=tries,
        due=due,
    )  # fmt: skip
