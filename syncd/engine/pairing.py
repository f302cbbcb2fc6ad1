"""Which files of a chunk have an item that is known under another path: moves, chains, swaps.

Called for a chunk. A file that vanished may be one that came; and where names were exchanged
or handed on, the files that have these names now are each other's. A file that took the name of
one that is nowhere any more is a new version of that one's item, as after an atomic replace.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import field

from syncd.model import Stat
from syncd.plan.moves import Arrived, Vanished, pair
from syncd.state.row import Row
from syncd.state.store import State
from syncd.value import value


@value
class Pairs:
    """`origins` are the rows whose items belong to these paths now; `unread` paths are to be read
    first, because they may be a vanished file. `missing` are not among the rows, but were handed
    on the name of one that is. `early` may be the file of a job under way: what they are is known
    when that is over."""

    origins: dict[str, Row] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    missing: tuple[Row, ...] = ()
    early: frozenset[str] = frozenset()


def find(
    state: State,
    rows: Sequence[Row],
    busy: Collection[str],
    leaving: Collection[Stat],
    movable: Callable[[list[Row]], list[Row]],
) -> Pairs:
    """Pair the rows that are there with those their content was stored for; `leaving` is how
    files looked that may have left their names while a job has them."""
    arrived = [row for row in rows if _arrived(row)]
    if not arrived:
        return Pairs()
    known = state.files.vanished(row.stat for row in arrived)
    origins = movable([row for row in known if row.receipt and row.path not in busy])
    names = _Names(state, arrived)
    found = _handed_on(names, arrived, origins)
    taken = {row.path for row in found.values()}
    gone = {row.path: row for row in origins if row.gone and row.path not in taken}
    fresh = [row for row in arrived if row.receipt is None and row.path not in found]
    pairing = pair(
        [
            Vanished(path=row.path, stat=row.kept, digest=row.receipt.digest, key=row.key or "")
            for row in gone.values()
            if row.receipt
        ],
        [Arrived(path=row.path, stat=row.stat, digest=row.digest) for row in fresh],
    )
    found |= {new: gone[old] for old, new in pairing.moves}
    unread = frozenset(pairing.unread)
    moving = {*leaving, *(row.kept for row in known if row.path in busy)}
    early = frozenset(
        row.path
        for row in arrived
        if row.stat in moving and row.path not in found and row.path not in unread
    )
    return Pairs(origins=found, unread=unread, missing=tuple(names.elsewhere), early=early)


def whereabouts(state: State, stat: Stat | None) -> Row | None:
    """The row of a file that is known by its looks and not to be stored under its name yet."""
    found = state.files.unsettled_as(stat) if stat else ()
    return next((row for row in found if _arrived(row)), None)


def partners(state: State, paths: Iterable[str]) -> set[str]:
    """Those that have now what was stored for these paths, and so on along the names that were
    handed on: without them, these cannot be decided."""
    found: set[str] = set()
    left = list(paths)
    while left:
        row = state.files.row(left.pop())
        there = whereabouts(state, row.kept) if row and row.displaced else None
        if there and there.path not in found:
            found.add(there.path)
            left.append(there.path)
    return found


def astray(state: State, rows: Sequence[Row], busy: Collection[str]) -> set[str]:
    """Those whose files have other names now that are to be decided, but not among these: until
    then their items are to be left alone."""
    left = [row for row in rows if row.kept and (row.gone or row.displaced)]
    if not left:
        return set()
    here = {row.path for row in rows}
    there = state.files.open_as(row.kept for row in left if row.kept)
    found = ((row, there[row.kept]) for row in left if row.kept in there)
    return {
        row.path
        for row, new in found
        if new.path not in here
        and (new.pending or new.path in busy)
        and row.receipt
        and new.digest in (None, row.receipt.digest)
    }


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

    def __init__(self, state: State, arrived: Sequence[Row]) -> None:
        self._state = state
        self._at: dict[Stat, Row | None] = {row.stat: row for row in arrived}
        self._free: dict[str, bool] = {}
        self.elsewhere: list[Row] = []

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
        if stat is None:
            return None
        if stat not in self._at:
            found = self._at[stat] = whereabouts(self._state, stat)
            self.elsewhere += [found] if found else []
        return self._at[stat]


def _arrived(row: Row) -> bool:
    """Whether the file that is there is not known to be the one of the row's receipt."""
    return not row.gone and (row.receipt is None or row.displaced)
