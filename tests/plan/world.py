"""A mirror of a disk into a remote, in memory and without an engine.

`World.plan` gathers triples and asks the real planner; `World.apply` does what came of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from syncd.errors import NameRefusedError
from syncd.model import (
    Action,
    Item,
    ItemState,
    Local,
    Policy,
    Receipt,
    Stat,
    Triple,
    Verb,
)
from syncd.plan.assign import Placed, Taken, Unread, assign, beside
from syncd.plan.decide import MIRRORS, decide, movable, relocate
from syncd.plan.moves import Arrived, Vanished, pair
from tests.plan.carry import carry
from tests.plan.ground import Ground

SETTLED = {Verb.NOTHING, Verb.HOLD, Verb.CONFLICT}


@dataclass
class Row:
    """What the state file would hold about one path."""

    path: str
    key: str | None = None
    receipt: Receipt | None = None


@dataclass(kw_only=True)
class World(Ground):
    policy: Policy
    rows: dict[str, Row] = field(default_factory=dict)
    seen: dict[str, Stat] = field(default_factory=dict)
    read: set[Stat] = field(default_factory=set)
    sent: int = 0

    def lose_state(self) -> None:
        self.rows, self.seen, self.read = {}, {}, set()

    def plan(self, order: Callable[[list[str]], None] = list.sort) -> list[Action]:
        """Place and decide every row, in an order to be chosen; the result is sorted by path."""
        for path in self.disk:
            self.rows.setdefault(path, Row(path))
        self.displace()
        paths = list(self.rows)
        order(paths)
        actions, moves = self._moves(paths)
        done = set(moves) | set(moves.values()) | {action.path for action in actions}
        later = [path for path in paths if path not in done and not self._row(path, actions)]
        for path, old in moves.items():
            action = self._moved(path, old)
            actions += [action] if action else []
            if action is None or action.verb is not Verb.MOVE:
                self._row(old, actions)
        if not any(action.verb is Verb.READ for action in actions):
            for path in later:
                self._row(path, actions, final=True)
        keys = [row.key for row in self.rows.values() if row.key]
        assert len(keys) == len(set(keys)), "two paths have one key"
        return sorted(actions, key=lambda action: action.path)

    def local(self, path: str) -> Local | None:
        file = self.disk.get(path)
        if file is None:
            return None
        self.seen[path] = file.stat
        return Local(stat=file.stat, digest=file.content if file.stat in self.read else None)

    def _row(self, path: str, actions: list[Action], *, final: bool = False) -> bool:
        """Add the action for a row; False where its name is taken, and it is to be asked last."""
        row, local = self.rows[path], self.local(path)
        if row.key is None and local:
            found = self._assign(row, local, actions, final=final)
            if isinstance(found, Taken) and not final:
                return False
            if not isinstance(found, Placed):
                return True
            row.key = found.key
        actions.append(decide(self._triple(row), self.policy))
        return True

    def _assign(
        self, row: Row, local: Local, actions: list[Action], *, final: bool, leaving: str = ""
    ) -> Placed | Unread | Taken | None:
        try:
            found = assign(row.path, local.digest, self.policy, Lookup(self, leaving))
            if isinstance(found, Taken) and final:
                found = beside(found, local.digest or "", self.policy, Lookup(self, leaving))
        except NameRefusedError as error:
            actions.append(Action(verb=Verb.HOLD, path=row.path, key="", reason=error.message))
            return None
        if isinstance(found, Unread):
            actions.append(Action(verb=Verb.READ, path=row.path, key="", reason="to compare"))
        elif isinstance(found, Taken) and final:
            taken = "the name is taken by other content"
            actions.append(Action(verb=Verb.CONFLICT, path=row.path, key=found.key, reason=taken))
        return found

    def _triple(self, row: Row) -> Triple:
        key, receipt = row.key or "", row.receipt
        remote = self.items.get(receipt.id) if receipt else None
        if remote is None or remote.state is not ItemState.PRESENT:
            remote = self.foreign(key) or remote or self._under(key)
        return Triple(
            path=row.path, key=key, local=self.local(row.path), remote=remote, receipt=receipt
        )

    def _under(self, key: str) -> Item | None:
        """The latest tombstone under a key."""
        gone = (item for item in self.items.values() if item.state is not ItemState.PRESENT)
        found = [item for item in gone if item.key == key]
        return max(found, key=lambda item: item.version or 0, default=None)

    def displace(self) -> None:
        """Take the key from rows whose name somebody else has at the remote by now."""
        for row in self.rows.values():
            there = self.foreign(row.key) if row.key else None
            ours = row.receipt.id if row.receipt else ""
            if there and there.id != ours and row.path in self.disk:
                row.key = None

    def foreign(self, key: str) -> Item | None:
        """The present item under a key that is nobody's here, or was put there behind our back:
        then without its digest, because only the path with its receipt may adopt it."""
        item = self.at(key)
        keys = {row.receipt.id: row.receipt.key for row in self.rows.values() if row.receipt}
        if item is None or item.id not in keys:
            return item
        return None if keys[item.id] == key else replace(item, digest=None)

    def _moves(self, paths: list[str]) -> tuple[list[Action], dict[str, str]]:
        rows = [self.rows[path] for path in paths]
        gone = [
            Vanished(path=row.path, stat=self.seen.get(row.path), digest=row.receipt.digest, key="")
            for row in rows
            if row.path not in self.disk and row.receipt and movable(self._triple(row), self.policy)
        ]
        come = [
            Arrived(path=row.path, stat=local.stat, digest=local.digest)
            for row in rows
            if row.receipt is None and (local := self.local(row.path))
        ]
        pairing = pair(gone, come)
        reads = [
            Action(verb=Verb.READ, path=path, key="", reason="may have moved")
            for path in pairing.unread
        ]
        return reads, {new: old for old, new in pairing.moves}

    def _moved(self, path: str, old: str) -> Action | None:
        row, local, refused = self.rows[path], self.local(path), list[Action]()
        assert local
        if row.key is None:
            found = self._assign(row, local, refused, final=True, leaving=old)
            if not isinstance(found, Placed):
                return refused[0] if refused else None
            if found.key == self.rows[old].key:
                self.rows[old].key = None
            row.key = found.key
        return relocate(self._triple(row), self._triple(self.rows[old]), self.policy)

    def apply(
        self, actions: Iterable[Action], *, answers: Callable[[], bool] = lambda: True
    ) -> None:
        """Carry out actions; what a hub would refuse is left for the next plan to see. Where
        `answers` says no, the remote did it and the mirror was not told."""
        for action in actions:
            carry(self, action, answered=answers())

    def converge(self) -> list[Action]:
        """Plan and apply until nothing but conflicts and holds is left; return those."""
        for _ in range(12):
            actions = self.plan()
            if all(action.verb in SETTLED for action in actions):
                return [action for action in actions if action.verb is not Verb.NOTHING]
            self.apply(actions)
        raise AssertionError(f"it does not settle: {actions}")


class Lookup:
    """What `assign` may ask of a world; the key of the path that is leaving counts as free."""

    def __init__(self, world: World, leaving: str) -> None:
        self._world = world
        self._leaving = leaving

    def holder(self, key: str) -> str | None:
        rows = self._world.rows.values()
        return next((r.path for r in rows if r.key == key and r.path != self._leaving), None)

    def item(self, key: str) -> Item | None:
        return self._world.foreign(key)

    def stored(self, digest: str, before: str, after: str) -> list[str]:
        known = {row.receipt.id for row in self._world.rows.values() if row.receipt}
        return [
            item.key
            for item in self._world.present()
            if item.digest == digest and item.by.startswith(MIRRORS) and item.id not in known
            if item.key.startswith(before) and item.key.endswith(after)
        ]


def shuffled(seed: int) -> Callable[[list[str]], None]:
    return random.Random(seed).shuffle
