"""Places that must not lie in each other: roots, mounts, and what syncd itself writes.

A file in two roots would be stored twice; a mount in a root, or the state in it, would feed itself
for ever. Pure: compares the paths it is given, links in them resolved.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from syncd.config.parts import Config
from syncd.config.places import Places

MISSING = Path()
"""What a reader puts where the file names no place: a fault of its own."""


def overlaps(config: Config, where: Places) -> Iterator[str]:
    """A sentence for each pair that cannot be."""
    roots = [entry.root for entry in config.mirrors if entry.root != MISSING]
    mounts = [entry.path for entry in config.mounts if entry.path != MISSING]
    own = {
        "state": where.state,
        "data": where.data,
        "cache": where.cache,
    }
    yield from _roots(config)
    for one, other in combinations(mounts, 2):
        if _touch(one, other):
            yield f"the mounts {one} and {other} lie in each other"
    for mount in mounts:
        for root in roots:
            if _touch(mount, root):
                yield f"the mount {mount} and the root {root} lie in each other"
    for what, folder in own.items():
        for place in (*roots, *mounts):
            if _inside(place, folder.resolve()) or _seen(folder.resolve(), place):
                yield f"{place} and syncd's own {what} directory {folder} lie in each other"


def _roots(config: Config) -> Iterator[str]:
    placed = [entry for entry in config.mirrors if entry.root != MISSING]
    for one, other in combinations(placed, 2):
        if one.root == other.root and one.dataset != other.dataset:
            continue  # One folder may go to several datasets.
        if one.root == other.root:
            yield f"the root {one.root} is listed twice for one dataset"
        elif _touch(one.root, other.root):
            yield f"the roots {one.root} and {other.root} lie in each other"


def _touch(one: Path, other: Path) -> bool:
    return _inside(one, other) or _inside(other, one)


def _inside(one: Path, other: Path) -> bool:
    return one == other or other in one.parents


def _seen(own: Path, place: Path) -> bool:
    """Whether a scan of `place` would come to it: hidden folders are left out."""
    if place not in own.parents:
        return False
    return not any(part.startswith(".") for part in own.relative_to(place).parts)
