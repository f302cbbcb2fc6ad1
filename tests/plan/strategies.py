"""What may happen to a world, drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import strategies as st

from syncd.model import ItemState, Layout, OnConflict, OnDelete, Policy
from tests.plan.world import World, shuffled

CONTENTS = "abcd"
PLAIN = (
    "005.jpg", "stop/005.jpg", "stop/day/005.jpg", "stop/night/005.jpg", "stop/night/cam/005.jpg",
    "go/day/005.jpg", "go/006.jpg", "006.jpg",
)  # fmt: skip
PATHS = (*PLAIN, "stop/005~night.jpg", "stop/005~me.jpg", "stop/2/005.jpg", "005~stop.jpg")
"""Also files whose real names are what others get when they collide."""

Step = tuple[Any, ...]
SYNC: list[Step] = [("sync", 99, 0)] * 3


def policies(**fixed: Any) -> st.SearchStrategy[Policy]:
    free: dict[str, Any] = {
        "layout": st.sampled_from(Layout),
        "on_delete": st.sampled_from(OnDelete),
        "on_conflict": st.sampled_from(OnConflict),
        "prefix": st.sampled_from(["", "a/b"]),
        "can_replace": st.booleans(),
        "can_move": st.booleans(),
        "can_trash": st.booleans(),
        "can_remove": st.booleans(),
    }
    return st.builds(
        Policy, source=st.just("me"), **(free | {k: st.just(v) for k, v in fixed.items()})
    )


def every_policy() -> list[Policy]:
    flags: list[Any] = [(True, False)] * 4
    names = ("on_delete", "on_conflict", "can_replace", "can_move", "can_trash", "can_remove")
    return [
        replace(Policy(source="me"), **dict(zip(names, values, strict=True)))
        for values in product(OnDelete, OnConflict, *flags)
    ]


def disk_steps(paths: Sequence[str] = PATHS) -> st.SearchStrategy[Step]:
    path = st.sampled_from(paths)
    return st.one_of(
        st.tuples(st.just("write"), path, st.sampled_from(CONTENTS)),
        st.tuples(st.just("delete"), path),
        st.tuples(st.just("rename"), path, path),
        st.tuples(st.just("sync"), st.integers(0, 12), st.integers(0, 99)),
    )


def all_steps() -> st.SearchStrategy[Step]:
    number, key = st.integers(0, 20), st.sampled_from(PATHS)
    return st.one_of(
        disk_steps(),
        st.tuples(st.just("foreign"), key, st.sampled_from(CONTENTS)),
        st.tuples(st.just("edit"), number, st.sampled_from([*CONTENTS, None])),
        st.tuples(st.just("rekey"), number, key),
        st.tuples(st.just("trash"), number, st.sampled_from(["ann", "mirror:north"])),
        st.tuples(st.just("touch"), number),
        st.tuples(st.just("purge"), number),
        st.tuples(st.just("vanish"), number),
        st.tuples(st.just("unanswered"), st.integers(1, 6)),
        st.tuples(st.just("plan")),
        st.tuples(st.just("stale")),
        st.tuples(st.just("lose")),
    )


def histories(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """A few files that are stored, and then what happens to them."""
    first = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(CONTENTS), max_size=5)
    start = first.map(lambda files: [*(("write", *file) for file in files.items()), *SYNC])
    ends = st.lists(steps, max_size=12)
    return st.tuples(start, ends).map(lambda parts: [*parts[0], *parts[1]])


def run(world: World, history: Sequence[Step]) -> None:
    """Let the steps happen; those that make no sense at that moment do nothing."""
    old = world.plan()
    for name, *args in history:
        if name == "plan":
            old = world.plan()
        elif name == "stale":
            world.apply(old)
        elif name in _REMOTE:
            _happen(world, name, *args)
        else:
            _STEPS[name](world, *args)


def _rename(world: World, old: str, new: str) -> None:
    if old in world.disk and old != new:
        world.rename(old, new)


def _sync(world: World, steps: int, seed: int) -> None:
    world.apply(world.plan(shuffled(seed))[:steps])


def _unanswered(world: World, steps: int) -> None:
    world.apply(world.plan()[:steps], answers=lambda: False)


_STEPS: dict[str, Callable[..., object]] = {
    "write": World.write,
    "delete": lambda world, path: world.disk.pop(path, None),
    "rename": _rename,
    "sync": _sync,
    "foreign": World.put,
    "unanswered": _unanswered,
    "lose": World.lose_state,
}

_REMOTE: dict[str, Callable[..., dict[str, Any]]] = {
    "edit": lambda digest: {"digest": digest, "by": "ann"},
    "rekey": lambda key: {"key": key, "by": "ann"},
    "trash": lambda by: {"state": ItemState.TRASHED, "by": by},
    "touch": lambda: {"by": "ann"},
    "purge": lambda: {"state": ItemState.PURGED},
    "vanish": dict,
}


def _happen(world: World, name: str, number: int, *args: Any) -> None:
    """Something happens to an item of the remote, the `number`-th of those it can happen to."""
    items = world.trashed() if name == "purge" else world.present()
    if not items:
        return
    item = items[number % len(items)]
    if name == "vanish":
        del world.items[item.id]
    else:
        world.change(item, **_REMOTE[name](*args))
