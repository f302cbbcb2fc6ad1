"""Which key a path gets when names collide, here or at the remote.

Called by the engine for a path that has no key yet. It has no memory: who holds what is asked of
`Lookup`. What must stay true: no two paths ever get one key; an item no receipt is about is
entered only by a file of the same digest; and after the state file was lost, files that once
collided find their own items again by digest, in whatever order they are asked.

For the last to hold with new files among them, those that `assign` answers `Taken` are asked once
more when all others have their keys, and `beside` then: the foreign item may have been a sibling's
own all along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from syncd.model import Item, Layout, OnConflict, Policy
from syncd.plan.layout import alternates, around, suffixed
from syncd.value import value


class Lookup(Protocol):
    """What is known about keys at this moment."""

    def holder(self, key: str) -> str | None:
        """The local path that holds the key now."""
        ...

    def item(self, key: str) -> Item | None:
        """The present item under the key that no receipt is about; tombstones are not told."""
        ...

    def stored(self, digest: str, before: str, after: str) -> Iterable[str]:
        """Keys that begin and end so, of present items with this content that a mirror stored and
        that no receipt is about; those that have very many such names may be told in part."""
        ...


@value
class Placed:
    """The key is the path's own: free, held by it already, or of an item with its content."""

    path: str
    key: str


@value
class Unread:
    """There are items to compare with: ask again with the digest."""

    path: str


@value
class Taken:
    """The key belongs to content that is not ours, and the policy is to leave both alone."""

    path: str
    key: str
    item: Item


@value
class _Free:
    """No item with the path's content was found; `taken` is set where the first name is foreign."""

    key: str
    taken: Taken | None


def assign(
    path: str, digest: str | None, policy: Policy, lookup: Lookup
) -> Placed | Unread | Taken:
    """Find the key of a path; raise NameRefusedError where it cannot be carried."""
    found = _follow(alternates(path, policy), path, digest, _own(policy), lookup)
    if not isinstance(found, _Free):
        return found
    if found.taken:
        return found.taken
    # Its name was taken when it was stored, perhaps, and what had the name is gone.
    before = _follow(suffixed(path, policy), path, digest, _own(policy), lookup)
    return Placed(path=path, key=found.key) if isinstance(before, _Free) else before


def beside(taken: Taken, digest: str, policy: Policy, lookup: Lookup) -> Placed | Taken:
    """Find a key beside the name that is taken: of an item with the path's content, under a name
    of this source or else of any one source; else a free one, where that is the policy."""
    path = taken.path
    found = _follow(suffixed(path, policy), path, digest, _own(policy), lookup)
    if isinstance(found, Placed):
        return found
    before, after = around(path, policy)
    others = [
        key
        for key in lookup.stored(digest, before, after)
        if "/" not in key[len(before) :] and lookup.holder(key) is None
    ]
    if len(others) == 1:  # Of several, nobody can tell which one was stored for this path.
        return Placed(path=path, key=others[0])
    if isinstance(found, _Free) and policy.on_conflict is OnConflict.SUFFIX:
        return Placed(path=path, key=found.key)
    return taken


def _own(policy: Policy) -> int:
    """Which of a path's names carries its own folders."""
    return 0 if policy.layout is Layout.TREE else 1


def _follow(
    keys: Iterator[str], path: str, digest: str | None, own: int, lookup: Lookup
) -> Placed | Unread | _Free:
    """Look along `keys` for an item with the path's content, up to the first gap.

    The name at `own` is looked at in any case, and preferred to the first where both have the
    content: a sibling that is the same picture can lay claim to the first name only.
    """
    match = free = ""
    taken = None
    for place, key in enumerate(keys):  # pragma: no branch: they have no end
        item = lookup.item(key)
        if item is None and (match or free):
            break
        holder = lookup.holder(key)
        if holder == path:
            return Placed(path=path, key=key)
        if holder is not None:
            continue
        if item is None:
            free = key
        elif digest is None:
            return Unread(path=path)
        elif item.digest == digest:
            match = key
        elif place == 0:
            taken = Taken(path=path, key=key, item=item)
        if place >= own and (match or free):
            break
    return Placed(path=path, key=match) if match else _Free(key=free, taken=taken)
