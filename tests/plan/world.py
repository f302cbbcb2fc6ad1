"""A disk, a remote and a mirror in memory: what the planner's actions do, without an engine.

`World.plan` gathers triples and asks the real planner; `World.apply` does what the engine and a
hub would, refusing what a hub refuses. The rules that must hold for every single action are
checked where it is carried out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from syncd.errors import NameRefusedError
from syncd.model import (
    Action,
    Item,
    ItemState,
    Local,
    OnConflict,
    OnDelete,
    Policy,
    Receipt,
    Stat,
    Triple,
    Verb,
)
from syncd.plan.assign import Placed, Taken, Unread, assign
from syncd.plan.decide import decide, movable, relocate
from syncd.plan.moves import Arrived, Vanished, pair

ME = "mirror:me"
SETTLED = {Verb.NOTHING, Verb.HOLD, Verb.CONFLICT}


@dataclass
class Row:
    """What the state file would hold about one path."""

    path: str
    key: str | None = None
    receipt: Receipt | None = None


@dataclass
class File:
    stat: Stat
    content: str


@dataclass
class World:
    policy: Policy
    disk: dict[str, File] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    seen: dict[str, Stat] = field(default_factory=dict)
    read: set[Stat] = field(default_factory=set)
    sent: int = 0
    _numbers: count[int] = field(default_factory=count)

    # -- what happens to the disk and the remote ------------------------------------------------

    def write(self, path: str, content: str) -> None:
        number = next(self._numbers)
        self.disk[path] = File((1 + ord(content[0]) % 2, number, number), content)

    def rename(self, old: str, new: str) -> None:
        self.disk[new] = self.disk.pop(old)

    def put(self, key: str, content: str) -> None:
        """A person stores something where nothing is."""
        if self.at(key) is None:
            self._store(Item(key=key, id=f"i{next(self._numbers)}", digest=content, by="ann"))

    def change(self, item: Item, **fields: Any) -> None:
        """Somebody else changes a present item, or purges a trashed one."""
        if "key" not in fields or self.at(fields["key"]) is None:
            self._store(replace(item, **fields))

    def trashed(self) -> list[Item]:
        return [item for item in self.items.values() if item.state is ItemState.TRASHED]

    def lose_state(self) -> None:
        self.rows, self.seen, self.read = {}, {}, set()

    def at(self, key: str) -> Item | None:
        found = [item for item in self.present() if item.key == key]
        assert len(found) <= 1, f"two items under {key}"
        return found[0] if found else None

    def present(self) -> list[Item]:
        return [item for item in self.items.values() if item.state is ItemState.PRESENT]

    def _store(self, item: Item) -> Item:
        self.items[item.id] = replace(item, version=next(self._numbers))
        return self.items[item.id]

    # -- planning -------------------------------------------------------------------------------

    def plan(self, order: Callable[[list[str]], None] = list.sort) -> list[Action]:
        """Place and decide every row, in an order to be chosen; the result is sorted by path."""
        for path in self.disk:
            self.rows.setdefault(path, Row(path))
        self.displace()
        paths = list(self.rows)
        order(paths)
        actions, moves = self._moves(paths)
        patient = replace(self.policy, on_conflict=OnConflict.KEEP)
        done = set(moves) | set(moves.values()) | {action.path for action in actions}
        later = [
            path for path in paths if path not in done and not self._row(path, patient, actions)
        ]
        for path, old in moves.items():
            action = self._moved(path, old)
            actions += [action] if action else []
            if action is None or action.verb is not Verb.MOVE:
                self._row(old, self.policy, actions)
        if not any(action.verb is Verb.READ for action in actions):
            for path in later:
                self._row(path, self.policy, actions)
        keys = [row.key for row in self.rows.values() if row.key]
        assert len(keys) == len(set(keys)), "two paths have one key"
        return sorted(actions, key=lambda action: action.path)

    def local(self, path: str) -> Local | None:
        file = self.disk.get(path)
        if file is None:
            return None
        self.seen[path] = file.stat
        return Local(stat=file.stat, digest=file.content if file.stat in self.read else None)

    def _row(self, path: str, policy: Policy, actions: list[Action]) -> bool:
        """Add the action for a row; False where its name is taken, and the policy may tell more."""
        row, local = self.rows[path], self.local(path)
        if row.key is None and local:
            found = self._assign(row, local, policy, actions)
            if isinstance(found, Taken) and policy is not self.policy:
                return False
            if not isinstance(found, Placed):
                return True
            row.key = found.key
        actions.append(decide(self._triple(row), self.policy))
        return True

    def _assign(
        self, row: Row, local: Local, policy: Policy, actions: list[Action], leaving: str = ""
    ) -> Placed | Unread | Taken | None:
        try:
            found = assign(row.path, local.digest, policy, Lookup(self, leaving))
        except NameRefusedError as error:
            actions.append(Action(verb=Verb.HOLD, path=row.path, key="", reason=error.message))
            return None
        if isinstance(found, Unread):
            actions.append(Action(verb=Verb.READ, path=row.path, key="", reason="to compare"))
        elif isinstance(found, Taken) and policy is self.policy:
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
            found = self._assign(row, local, self.policy, refused, leaving=old)
            if not isinstance(found, Placed):
                return refused[0] if refused else None
            if found.key == self.rows[old].key:
                self.rows[old].key = None
            row.key = found.key
        return relocate(self._triple(row), self._triple(self.rows[old]), self.policy)

    # -- carrying out ---------------------------------------------------------------------------

    def apply(
        self, actions: Iterable[Action], *, answers: Callable[[], bool] = lambda: True
    ) -> None:
        """Carry out actions; what a hub would refuse is left for the next plan to see. Where
        `answers` says no, the remote did it and the mirror was not told."""
        for action in actions:
            assert action.reason
            getattr(self, f"_{action.verb.value}")(action, answers())

    def converge(self) -> list[Action]:
        """Plan and apply until nothing but conflicts and holds is left; return those."""
        for _ in range(12):
            actions = self.plan()
            if all(action.verb in SETTLED for action in actions):
                return [action for action in actions if action.verb is not Verb.NOTHING]
            self.apply(actions)
        raise AssertionError(f"it does not settle: {actions}")

    def _record(self, path: str, item: Item, content: str) -> None:
        assert item.digest == content, "a receipt that is not true"
        others = {row.receipt.id for row in self.rows.values() if row.receipt and row.path != path}
        assert item.id not in others, "two receipts for one item"
        row = self.rows.setdefault(path, Row(path))
        row.receipt = Receipt(key=item.key, id=item.id, version=item.version, digest=content)

    def _rekey(self, row: Row, key: str) -> None:
        for other in self.rows.values():
            if other.key == key and other is not row:
                other.key = None
        row.key = key

    def _put(self, action: Action, answered: bool) -> None:
        file, there = self.disk.get(action.path), self.at(action.key)
        row = self.rows.get(action.path)
        if file is None or row is None or row.key != action.key:
            return
        if there and (there.digest != file.content or there != self.foreign(action.key)):
            return
        if there is None:
            self.sent += 1
            new = Item(key=action.key, id=f"i{next(self._numbers)}", digest=file.content, by=ME)
            there = self._store(new)
        if answered:
            self.read.add(file.stat)
            self._record(action.path, there, file.content)

    def _replace(self, action: Action, answered: bool) -> None:
        file, item = self.disk.get(action.path), self._agreed(action)
        if file and item and item.key == action.key:
            self.sent += 1
            stored = self._store(replace(item, digest=file.content, by=ME))
            if answered:
                self.read.add(file.stat)
                self._record(action.path, stored, file.content)
                row = self.rows[action.path]
                if (
                    action.triple
                    and action.triple.receipt
                    and (action.key != action.triple.receipt.key)
                ):
                    self._rekey(row, action.key)

    def _move(self, action: Action, answered: bool) -> None:
        origin = action.origin or action.triple
        item = self._agreed(action)
        if item is None or action.path not in self.disk or self.at(action.key) not in (None, item):
            return
        if origin and origin.path != action.path and origin.path in self.disk:
            return
        moved = self._store(replace(item, key=action.key, by=ME))
        if answered and origin and origin.receipt:
            if origin.path != action.path:
                del self.rows[origin.path]
            self._record(action.path, moved, origin.receipt.digest)

    def _remove(self, action: Action, answered: bool) -> None:
        item = self._agreed(action)
        if item is None or action.path in self.disk:
            return
        assert self.policy.on_delete is not OnDelete.KEEP
        self._store(replace(item, state=ItemState.TRASHED, by=ME))
        if answered:
            del self.rows[action.path]

    def _agreed(self, action: Action) -> Item | None:
        """The item an action is about, if it is still as planned; and that is as was agreed."""
        triple = action.origin or action.triple
        assert triple
        assert triple.remote
        assert triple.receipt
        assert triple.remote.digest == triple.receipt.digest, "a version nobody agreed to"
        assert triple.remote.state is ItemState.PRESENT
        row = self.rows.get(triple.path)
        current = row is not None and row.receipt == triple.receipt
        item = self.items.get(triple.receipt.id)
        return item if current and item == triple.remote else None

    def _adopt(self, action: Action, answered: bool) -> None:
        assert action.triple
        local, remote = action.triple.local, action.triple.remote
        row = self.rows.get(action.path)
        if local and remote and row and row.receipt == action.triple.receipt:
            self._record(action.path, remote, local.digest or "")
            self._rekey(row, action.key)

    def _read(self, action: Action, answered: bool) -> None:
        if action.path in self.disk:
            self.read.add(self.disk[action.path].stat)

    def _forget(self, action: Action, answered: bool) -> None:
        self.rows.pop(action.path, None)

    def _leave(self, action: Action, answered: bool) -> None:
        assert action.reason

    _hold = _conflict = _nothing = _leave


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


def shuffled(seed: int) -> Callable[[list[str]], None]:
    return random.Random(seed).shuffle
