"""One chunk of rows while it is decided: gathers what the pure planner needs to know of them.

Reads go to the state file in a few queries per chunk, never one per row. Nothing is written but
placements. Made by the decider, which chooses the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from syncd.engine.pairing import astray, find, whereabouts
from syncd.errors import NameRefusedError
from syncd.model import Action, Item, ItemState, Policy, Receipt, Stat, Triple, Verb
from syncd.plan.assign import Placed, Taken, Unread, assign, beside
from syncd.plan.decide import MIRRORS, decide, movable, relocate
from syncd.plan.layout import place
from syncd.state.row import Row
from syncd.state.store import State
from syncd.value import value


@value
class Decisions:
    """What is to be done for a chunk of rows."""

    rows: tuple[Row, ...]
    """Those asked for, and others that names were handed on to and that were not due yet."""
    actions: tuple[Action, ...]
    later: tuple[str, ...]
    """Paths whose name is taken: ask again once every other file has been read."""
    waiting: tuple[str, ...]
    """Paths whose key is held by a vanished file that is still to be dealt with, or whose item a
    job under way may have."""
    held: tuple[str, ...]
    """Paths whose item goes to one of those, or to one not asked for, and so wait for longer."""
    refused: tuple[tuple[str, str], ...]
    """Paths that cannot be carried, with the reason."""


class Chunk:
    """One chunk while it is decided: the lookups of its keys, and what came of it."""

    def __init__(
        self,
        state: State,
        policy: Policy,
        rows: Sequence[Row],
        busy: set[str],
        final: set[str],
        leaving: Collection[Stat],
        *,
        waits: bool,
    ) -> None:
        """With `waits`, a name that a vanished file will leave is waited for; else the next free
        one is taken."""
        self._state = state
        self._policy = policy
        self._final = final
        self._rows = rows
        self._busy = busy
        self._waits = waits
        self._actions: dict[str, Action] = {}
        self._later: list[str] = []
        self._waiting: list[str] = []
        self._refused: list[tuple[str, str]] = []
        self._placed: dict[str, str | None] = {}
        self._takers: dict[str, str] = {}
        self._leavers: list[Row] = []
        self._bases = self._place_all()
        keys = [row.key for row in rows if row.key] + list(self._bases.values())
        self._holders: dict[str, Row | None] = dict.fromkeys(keys)
        self._holders.update(state.names.holders(keys))
        self._alone = state.overlay.empty()
        self._items: dict[str, Item | None] = dict.fromkeys(keys)
        if not self._alone:
            self._items.update(state.overlay.at(keys))
        self._overlaid = self._overlay([row.receipt for row in rows])
        self._pairs = find(state, rows, busy, leaving, self._movable)
        self._leaving = {row.path: new for new, row in self._pairs.origins.items() if row.gone}
        self._losing = {
            row.path for row in self._pairs.origins.values()
        } - self._pairs.origins.keys()
        self._astray = self._seek(rows) if waits else set()

    def decide(self) -> list[Row]:
        """Decide each row. Returns those that names were handed on to, or that have left a name
        that is waited for, and that are to be decided but not here: without them, names that go
        around get stuck."""
        for row in self._rows:
            if row.path not in self._leaving:
                self._one(row)
        here = {row.path for row in self._rows} | self._busy
        left = (whereabouts(self._state, row.kept) for row in self._leavers)
        found = {row.path: row for row in (*self._pairs.missing, *left) if row}
        return [row for path, row in found.items() if row.due is not None and path not in here]

    def decisions(self) -> Decisions:
        """What is to be done, once it is decided; the names that were found are written down by
        that."""
        self._hold_back()
        self._undecided = {*self._later, *self._waiting}
        for row in self._rows:
            if row.path in self._leaving:
                self._left(row, self._leaving[row.path])
        self._state.names.place(self._placed.items())
        origins = self._pairs.origins
        held = {row.path for new, row in origins.items() if new in self._undecided and row.gone}
        # Adoptions come last: whose item one takes is decided anew, whatever was chosen for it now.
        actions = sorted(self._actions.values(), key=lambda action: action.verb is Verb.ADOPT)
        return Decisions(
            rows=tuple(self._rows),
            actions=tuple(actions),
            later=tuple(self._later),
            waiting=tuple(self._waiting),
            held=tuple(held | self._astray),
            refused=tuple(self._refused),
        )

    def _seek(self, rows: Sequence[Row]) -> set[str]:
        paired = self._pairs.origins.keys() | self._losing
        found = astray(self._state, rows, self._busy) - paired
        return {row.path for row in self._movable([row for row in rows if row.path in found])}

    def _hold_back(self) -> None:
        """Where a file that moved cannot be decided yet, its item still has the name that another
        one is to get: that one has to wait, and so on along the names that were handed on."""
        reading = [path for path, action in self._actions.items() if action.verb is Verb.READ]
        for first in (*self._later, *self._waiting, *reading):
            origin = self._pairs.origins.get(first)
            while origin is not None:
                path = self._takers.get(origin.path, origin.path)
                if path in reading or self._actions.pop(path, None) is None:
                    break
                self._waiting.append(path)
                for placed in (path, origin.path):
                    self._placed.pop(placed, None)
                origin = self._pairs.origins.get(path)

    def _one(self, row: Row) -> None:
        """Exactly one answer for a row: an action, or why there is none now."""
        if row.path in self._astray:
            return
        if row.gone:
            self._decide(row, row.key or (row.receipt.key if row.receipt else ""))
            return
        if row.key is None and row.path not in self._bases:
            return  # refused
        if row.path in self._losing:
            self._waiting.append(row.path)  # Its item goes to another; then it is a new file.
            return
        if row.path in self._pairs.unread:
            self._act(row, Verb.READ, "may be a file that moved")
            return
        if row.path in self._pairs.early:
            self._waiting.append(row.path)  # A job has its item, or is making it.
            return
        key = row.key if self._stays(row) else self._find_key(row)
        if key is None:
            return
        if row.key != key:
            self._placed[row.path] = key
        self._decide(row, key)

    def _left(self, row: Row, place: str) -> None:
        """A vanished file that was found at `place`: settled with it, or else on its own."""
        action = self._actions.get(place)
        if action is not None and action.origin is not None:
            return
        if place in self._undecided or (action is not None and action.verb is Verb.READ):
            self._waiting.append(row.path)
        else:
            self._one(row)

    def _stays(self, row: Row) -> bool:
        """Whether a path keeps its key: not where somebody took it before anything was stored."""
        if row.key is None or row.receipt or row.gone or self.foreign(row.key) is None:
            return row.key is not None
        self._holders[row.key] = None
        self._state.names.place([(row.path, None)])
        return False

    def _place_all(self) -> dict[str, str]:
        bases = {}
        for row in self._rows:
            if (row.key is None or row.receipt is None) and not row.gone:
                try:
                    bases[row.path] = place(row.path, self._policy)
                except NameRefusedError as error:
                    self._refused.append((row.path, error.message))
        return bases

    def _movable(self, rows: Sequence[Row]) -> list[Row]:
        """Those whose items are as they were stored, so that they may follow their files."""
        self._overlaid.update(self._overlay([row.receipt for row in rows]))
        return [row for row in rows if movable(self._origin(row), self._policy)]

    def _origin(self, row: Row) -> Triple:
        key = row.receipt.key if row.receipt else row.key or ""
        return Triple(
            path=row.path, key=key, local=None, remote=self._remote(row, key), receipt=row.receipt
        )

    def _overlay(self, receipts: Sequence[Receipt | None]) -> dict[str, Item | None]:
        return self._state.overlay.of([receipt.id for receipt in receipts if receipt])

    def _find_key(self, row: Row) -> str | None:
        view = _View(self, row)
        found = assign(row.path, row.digest, self._policy, view)
        if isinstance(found, Taken) and row.path in self._final:
            found = beside(found, row.digest or "", self._policy, view)
        if isinstance(found, Placed):
            holder = self._holder(self._bases[row.path])
            other = found.key != self._bases[row.path]
            if other and self._waits and holder and _leaving(holder):
                self._waiting.append(row.path)
                self._leavers.append(holder)
                return None
            leaver = self._holder(found.key)
            if leaver is not None and leaver.path != row.path:
                self._placed[leaver.path] = None
                self._takers[leaver.path] = row.path
            self._holders[found.key] = row
            return found.key
        if isinstance(found, Unread):
            self._act(row, Verb.READ, "the name is taken at the remote")
        elif isinstance(found, Taken):
            self._take(row, found)
        return None

    def _take(self, row: Row, found: Taken) -> None:
        if row.path not in self._final:
            self._later.append(row.path)
            return
        triple = Triple(
            path=row.path, key=found.key, local=row.local, remote=found.item, receipt=row.receipt
        )
        self._actions[row.path] = Action(
            verb=Verb.CONFLICT, path=row.path, key=found.key, triple=triple,
            reason="the name is taken by other content",
        )  # fmt: skip

    def _decide(self, row: Row, key: str) -> None:
        origin = self._pairs.origins.get(row.path)
        if origin is not None:
            # An own receipt is none: that item goes with the file that had this name before.
            triple = self._triple(replace(row, receipt=None), key)
            action = relocate(triple, self._origin(origin), self._policy)
            if action.origin or row.receipt is None:
                self._actions[row.path] = action
                return
        self._actions[row.path] = decide(self._triple(row, key), self._policy)

    def _triple(self, row: Row, key: str) -> Triple:
        return Triple(
            path=row.path, key=key, local=row.local, remote=self._remote(row, key),
            receipt=row.receipt,
        )  # fmt: skip

    def _act(self, row: Row, verb: Verb, reason: str) -> None:
        key = row.key or self._bases.get(row.path, "")
        self._actions[row.path] = Action(verb=verb, path=row.path, key=key, reason=reason)

    def _remote(self, row: Row, key: str) -> Item | None:
        if row.receipt is None:
            return self.foreign(key) or self._tombstone(key)
        if row.receipt.id not in self._overlaid:
            return _as_item(row.receipt)
        ours = self._overlaid[row.receipt.id]
        if ours is None or ours.state is not ItemState.PRESENT:
            # Ours is gone: what matters is whether somebody has its name now.
            return self.foreign(key) or ours
        return ours

    def _tombstone(self, key: str) -> Item | None:
        item = self._item(key)
        if (
            item is None
            or item.state is ItemState.PRESENT
            or self._state.receipts.by_item([item.id])
        ):
            return None
        return item

    def _holder(self, key: str) -> Row | None:
        if key not in self._holders:
            self._holders[key] = self._state.names.holders([key]).get(key)
        return self._holders[key]

    def _item(self, key: str) -> Item | None:
        if self._alone:
            return None
        if key not in self._items:
            self._items[key] = self._state.overlay.at([key]).get(key)
        return self._items[key]

    def holder_of(self, key: str) -> str | None:
        """Who holds a key, leaving out vanished files whose items go elsewhere."""
        row = self._holder(key)
        return None if row is None or row.path in self._leaving else row.path

    def foreign(self, key: str) -> Item | None:
        """A present item under the key; its digest is hidden where it is what a file of ours was
        stored as: changed since by somebody, it is for whoever has that content and the name."""
        item = self._item(key)
        if item is None or item.state is not ItemState.PRESENT:
            return None
        owner = self._state.receipts.by_item([item.id]).get(item.id)
        receipt = owner.receipt if owner and not owner.gone else None
        if receipt and item.digest == receipt.digest:
            return Item(key=item.key, id=item.id, version=item.version)
        return item

    def stored(self, digest: str, before: str, after: str) -> list[str]:
        """Keys of present items with this content, which mirrors stored and no file of ours has."""
        found = self._state.overlay.stored(digest, before, after)
        owned = self._state.receipts.by_item([item.id for item in found])
        return [item.key for item in found if item.by.startswith(MIRRORS) and item.id not in owned]


class _View:
    """What `assign` and `beside` may ask, for one path."""

    def __init__(self, chunk: Chunk, row: Row) -> None:
        self._chunk = chunk
        self._row = row

    def stored(self, digest: str, before: str, after: str) -> list[str]:
        return self._chunk.stored(digest, before, after)

    def holder(self, key: str) -> str | None:
        return self._chunk.holder_of(key)

    def item(self, key: str) -> Item | None:
        item = self._chunk.foreign(key)
        own = self._row.receipt.id if self._row.receipt else None
        return item if item and item.id != own else None


def _leaving(row: Row) -> bool:
    """Whether a row will give up its key soon: gone, and that is about to be dealt with."""
    return row.gone is not None and row.pending


def _as_item(receipt: Receipt) -> Item:
    return Item(key=receipt.key, id=receipt.id, version=receipt.version, digest=receipt.digest)
