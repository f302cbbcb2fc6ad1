"""What each verb does to a world, as the engine and a hub would do it.

Where a hub would refuse, or the engine sees that something changed since the plan, nothing
happens. The rules that must hold for every single action are asserted here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from syncd.model import Action, Item, ItemState, OnDelete, Receipt, Verb

if TYPE_CHECKING:
    from tests.plan.world import World

ME = "mirror:me"


def carry(world: World, action: Action, *, answered: bool) -> None:
    """Carry out one action; where it is not `answered`, the mirror does not learn of it."""
    assert action.reason
    record = _VERBS[action.verb](world, action)
    if record and answered:
        record()


Record = Callable[[], object] | None


def _put(world: World, action: Action) -> Record:
    file, there = world.disk.get(action.path), world.at(action.key)
    row = world.rows.get(action.path)
    if file is None or row is None or row.key != action.key:
        return None
    if there and (there.digest != file.content or there != world.foreign(action.key)):
        return None
    stored = there or world.put(action.key, file.content, ME)
    assert stored
    world.sent += there is None
    world.read.add(file.stat)
    return lambda: _note(world, action.path, stored, file.content)


def _replace(world: World, action: Action) -> Record:
    file, item = world.disk.get(action.path), _agreed(world, action)
    if file is None or item is None or item.key != action.key:
        return None
    world.sent += 1
    world.read.add(file.stat)
    stored = world.store(replace(item, digest=file.content, by=ME))

    def record() -> None:
        renamed = action.key != world.rows[action.path].receipt.key
        _note(world, action.path, stored, file.content)
        if renamed:
            _rekey(world, action.path, action.key)

    return record


def _move(world: World, action: Action) -> Record:
    origin, item = action.origin or action.triple, _agreed(world, action)
    if item is None or action.path not in world.disk or world.at(action.key) not in (None, item):
        return None
    if action.origin and action.origin.path in world.disk:
        return None
    moved = world.store(replace(item, key=action.key, by=ME))

    def record() -> None:
        if origin.path != action.path:
            del world.rows[origin.path]
        _note(world, action.path, moved, origin.receipt.digest)

    return record


def _remove(world: World, action: Action) -> Record:
    item = _agreed(world, action)
    if item is None or action.path in world.disk:
        return None
    assert world.policy.on_delete is not OnDelete.KEEP
    world.store(replace(item, state=ItemState.TRASHED, by=ME))
    return lambda: _forget(world, action)


def _adopt(world: World, action: Action) -> None:
    triple, row = action.triple, world.rows.get(action.path)
    if row and row.receipt == triple.receipt:
        assert triple.remote
        _note(world, action.path, triple.remote, triple.local.digest)
        _rekey(world, action.path, action.key)


def _read(world: World, action: Action) -> None:
    if action.path in world.disk:
        world.read.add(world.disk[action.path].stat)


def _forget(world: World, action: Action) -> None:
    world.rows.pop(action.path, None)


def _leave(world: World, action: Action) -> None:
    """Left alone, and listed."""


def _agreed(world: World, action: Action) -> Item | None:
    """The item an action is about, if it is still as planned; and that is as was agreed."""
    triple = action.origin or action.triple
    assert triple.remote.digest == triple.receipt.digest, "a version nobody agreed to"
    assert triple.remote.state is ItemState.PRESENT
    row = world.rows.get(triple.path)
    current = row is not None and row.receipt == triple.receipt
    item = world.items.get(triple.receipt.id)
    return item if current and item == triple.remote else None


def _note(world: World, path: str, item: Item, content: str | None) -> None:
    assert item.digest == content, "a receipt that is not true"
    others = {row.receipt.id for row in world.rows.values() if row.receipt and row.path != path}
    assert item.id not in others, "two receipts for one item"
    assert content
    receipt = Receipt(key=item.key, id=item.id, version=item.version, digest=content)
    world.rows[path].receipt = receipt


def _rekey(world: World, path: str, key: str) -> None:
    """Give a path a key that a person chose; whoever had it is to be placed anew."""
    for row in world.rows.values():
        if row.key == key:
            row.key = None
    world.rows[path].key = key


_VERBS: dict[Verb, Callable[[World, Action], Record]] = {
    Verb.PUT: _put,
    Verb.REPLACE: _replace,
    Verb.MOVE: _move,
    Verb.REMOVE: _remove,
    Verb.ADOPT: _adopt,
    Verb.READ: _read,
    Verb.FORGET: _forget,
    Verb.HOLD: _leave,
    Verb.CONFLICT: _leave,
    Verb.NOTHING: _leave,
}
