"""From rows that are due to actions: which rows are to be decided together, and the short way.

The control thread calls this with a chunk of rows; the planner that it asks is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from syncd.engine.chunk import Chunk, Decisions
from syncd.errors import NameRefusedError
from syncd.model import Policy, Stat, Triple
from syncd.plan.decide import decide
from syncd.plan.layout import place
from syncd.state.row import Row
from syncd.state.store import State

MOST = 10_000
"""So many rows are decided at once, where names were handed on among them; of more, each file may
become a new version of the item that has had its name."""
ROUNDS = 8
"""How often those are looked for that names were handed on to by the ones just found."""


class Decider:
    """Decides chunks of rows for one mirror."""

    def __init__(self, state: State, policy: Policy) -> None:
        self._state = state
        self._policy = policy

    def decide(
        self,
        rows: Sequence[Row],
        *,
        busy: Iterable[str],
        final: Iterable[str],
        leaving: Collection[Stat] = (),
    ) -> Decisions:
        """`busy` paths have a job under way, and `leaving` is how files looked that may have left
        theirs meanwhile; `final` ones were answered `later` before."""
        news = all(row.receipt is None and row.key is None and not row.gone for row in rows)
        if news and not leaving:
            fresh = self._fresh(rows)
            if fresh is not None:
                return fresh
        return self._whole(list(rows), set(busy), set(final), leaving)

    def _whole(
        self, rows: list[Row], busy: set[str], final: set[str], leaving: Collection[Stat]
    ) -> Decisions:
        """Of the rows with all those that names were handed on to, unless they are too many."""
        for _ in range(ROUNDS):
            chunk = Chunk(self._state, self._policy, rows, busy, final, leaving, waits=True)
            missing = chunk.decide()
            if not missing:
                return chunk.decisions()
            rows = [*rows, *missing]
            if len(rows) > MOST:
                break
        chunk = Chunk(self._state, self._policy, rows[:MOST], busy, final, leaving, waits=False)
        chunk.decide()
        return chunk.decisions()

    def _fresh(self, rows: Sequence[Row]) -> Decisions | None:
        """The short way of the first sync: new files only, whose names nobody here or at the
        remote has, and nothing vanished that they could be. None where it is not like that."""
        if self._state.files.anything_left() or not self._state.overlay.empty():
            return None
        try:
            keys = {row.path: place(row.path, self._policy) for row in rows}
        except NameRefusedError:
            return None
        if not self._state.names.place_free(keys):
            return None
        triples = (
            Triple(path=row.path, key=keys[row.path], local=row.local, remote=None, receipt=None)
            for row in rows
        )
        actions = tuple(decide(triple, self._policy) for triple in triples)
        return Decisions(
            rows=tuple(rows), actions=actions, later=(), waiting=(), held=(), refused=()
        )
