"""Which key a path gets when names collide, here or at the remote.

Called by the engine for a path that has no key yet. It has no memory: who holds what is asked of
`Lookup`. What must stay true: no two paths ever get one key; an item no receipt is about is
entered only by a file of the same digest; and after the state file was lost, files that once
collided find their own items again by digest, in whatever order they are asked.

For the last to hold with new files among them, ask every path first with `on_conflict` KEEP, and
those answered `Taken` once more, with the true policy, when all others have their keys: the
foreign item may have been a sibling's own all along.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from syncd.model import Item, OnConflict, Policy
from syncd.plan.layout import alternates, collapses, suffixed


class Lookup(Protocol):
    """What is known about keys at this moment."""

    def holder(self, key: str) -> str | None:
        """The local path that holds the key now."""
        ...

    def item(self, key: str) -> Item | None:
        """The present item under the key that no receipt is about; tombstones are not told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The key is the path's own: free, held by it already, or of an item with its content."""

    path: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """There are items to compare with: ask again with the digest."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The key belongs to content that is not ours, and the policy is to leave both alone."""

    path: str
    key: str
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class _Free:
    """No item with the path's content was found; `taken` is set where the first name is foreign."""

    key: str
    taken: Taken | None


def assign(
    path: str, digest: str | None, policy: Policy, lookup: Lookup
) -> Placed | Unread | Taken:
    """Find the key of a path; raise NameRefusedError where it cannot be carried."""
    own = 1 if collapses(path, policy) else 0
    found = _follow(alternates(path, policy), path, digest, own, lookup)
    if isinstance(found, _Free) and found.taken and policy.on_conflict is OnConflict.SUFFIX:
        found = _follow(suffixed(path, policy), path, digest, own, lookup)
        return Placed(path=path, key=found.key) if isinstance(found, _Free) else found
    if isinstance(found, _Free):
        return found.taken or Placed(path=path, key=found.key)
    return found


def _follow(
    keys: Iterator[str], path: str, digest: str | None, own: int, lookup: Lookup
) -> Placed | Unread | _Free:
    """Look along `keys` for the path's content, at least up to the name that carries its folders.

    That name (at `own`) is preferred to any other of equal content: a sibling that is the same
    picture has no other claim than the first name, while only this path has one on its own.
    """
    match = free = ""
    taken = None
    for place, key in enumerate(keys):
        holder = lookup.holder(key)
        item = lookup.item(key) if holder is None else None
        if holder == path:
            return Placed(path=path, key=key)
        if item is not None and digest is None:
            return Unread(path=path)
        if item is not None and item.digest == digest:
            match = key if place == own else match or key
        elif item is not None and place == 0:
            taken = Taken(path=path, key=key, item=item)
        elif item is None and holder is None:
            free = free or key
        if place >= own and (match or free):
            break
    return Placed(path=path, key=match) if match else _Free(key=free, taken=taken)
