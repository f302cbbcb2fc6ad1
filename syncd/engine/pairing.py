"""Which files of a chunk have an item that is known under another path: moves, chains, swaps.

Called by the decider. A file that vanished may be one that came; and where names were exchanged
or handed on, the files that have these names now are each other's. A file that took the name of
one that is nowhere any more is a new version of that one's item, as after an atomic replace.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from syncd.model import Stat
from syncd.plan.moves import Arrived, Vanished, pair
from syncd.state.row import Row
from syncd.state.store import State

FEW = 200
"""Where a chunk has fewer rows, what belongs to them and is not among them can be waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """`origins` are the rows whose items belong to these paths now; `unread` paths are to be read
    first, because they may be a vanished file. `together` are those whose names were handed on
    where some are not due yet: nothing is paired before all of them are decided at once."""

    origins: dict[str, Row] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    together: frozenset[str] = frozenset()


def find(
    state: State,
    rows: Sequence[Row],
    busy: Collection[str],
    movable: Callable[[list[Row]], list[Row]],
) -> Pairs:
    """Pair the rows that are there with those their content was stored for."""
    arrived = [row for row in rows if _arrived(row)]
    if not arrived:
        return Pairs()
    known = state.files.vanished(row.stat for row in arrived)
    origins = movable([row for row in known if row.receipt and row.path not in busy])
    names = _Names(state, arrived, busy, few=len(rows) < FEW)
    found = _handed_on(names, arrived, origins)
    taken = {row.path for row in found.values()}
    together = frozenset[str]()
    if names.delayed:
        together = frozenset(names.delayed | found.keys() | taken)
        found = {}
    gone = {row.path: row for row in origins if row.gone and row.path not in taken}
    settled = found.keys() | together
    fresh = [row for row in arrived if row.receipt is None and row.path not in settled]
    pairing = pair(
        [
            Vanished(path=row.path, stat=row.kept, digest=row.receipt.digest, key=row.key or "")
            for row in gone.values()
            if row.receipt
        ],
        [Arrived(path=row.path, stat=row.stat, digest=row.digest) for row in fresh],
    )
    found |= {new: gone[old] for old, new in pairing.moves}
    return Pairs(origins=found, unread=frozenset(pairing.unread), together=together)


def _handed_on(names: _Names, arrived: Sequence[Row], origins: Sequence[Row]) -> dict[str, Row]:
    """Pairs with a file in them whose name another one has now: by the very same stat only."""
    if not any(row.displaced for row in (*arrived, *origins)):
        return {}
    before = {row.kept: row for row in origins if row.kept}
    found: dict[str, Row] = {}
    for row in arrived:
        origin = before.get(row.stat)
        if origin is None or origin.path == row.path or not (row.displaced or origin.displaced):
            continue
        same = origin.receipt and row.digest in (None, origin.receipt.digest)
        if same and names.free(row):
            found[row.path] = origin
    return found


class _Names:
    """Follows who has whose name now, through the rows of a chunk and those of the state file."""

    def __init__(
        self, state: State, arrived: Sequence[Row], busy: Collection[str], *, few: bool
    ) -> None:
        self._state = state
        self._busy = busy
        self._few = few
        self._at: dict[Stat, Row | None] = {row.stat: row for row in arrived}
        self._free: dict[str, bool] = {}
        self.delayed: set[str] = set()

    def free(self, row: Row) -> bool:
        """Whether the file that had this name before is somewhere, and so are all in whose place
        one came by that: then the item goes with it, and the name is free for another."""
        trail: list[str] = []
        here: Row | None = row
        while here and here.path not in trail and here.path not in self._free:
            trail.append(here.path)
            if here.receipt is None:
                break
            here = self._place_of(here.kept)
        verdict = here is not None and self._free.get(here.path, True)
        self._free |= dict.fromkeys(trail, verdict)
        return verdict

    def _place_of(self, stat: Stat | None) -> Row | None:
        if stat is not None and stat not in self._at:
            found = [row for row in self._state.files.unsettled_as(stat) if _arrived(row)]
            self._at[stat] = found[0] if found else None
            self.delayed |= {row.path for row in found[:1] if self._comes(row)}
        return self._at[stat] if stat is not None else None

    def _comes(self, row: Row) -> bool:
        """Whether a row that is not in this chunk will be in the next, if asked to."""
        return self._few and row.due is not None and row.path not in self._busy


def _arrived(row: Row) -> bool:
    """Whether the file that is there is not known to be the one of the row's receipt."""
    return not row.gone and (row.receipt is None or row.displaced)
