"""Which item an image of a document means: never a guess.

`folder/name` is a key; a bare name means the one item that has it. The items are looked through
once, and only those that may be meant are kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.model import Item

SHOWN = 5


class UnmatchedError(ValueError):
    """No item is meant, or it cannot be told which; the text lists the candidates."""


class Match:
    """The items that a document's images may mean, below a folder of the dataset."""

    def __init__(self, images: Iterable[str], items: Iterable[Item], folder: str = "") -> None:
        self._below = f"{folder}/" if folder else ""
        names = {_name(image) for image in images}
        self._named: dict[str, list[Item]] = {}
        for item in items:
            name = _name(item.key)
            if name in names and item.key.startswith(self._below):
                self._named.setdefault(name, []).append(item)

    def item(self, image: str) -> Item:
        """The one item that an image means; UnmatchedError."""
        found = self._named.get(_name(image), [])
        if "/" not in image:
            if len(found) == 1:
                return found[0]
            raise UnmatchedError(self._several(found) if found else self._none())
        key = self._below + image.strip("/")
        for item in found:
            if item.key == key:
                return item
        other = f"; of that name there {self._keys(found)}" if found else ""
        raise UnmatchedError(f"there is no item {key!r}{other}")

    def _none(self) -> str:
        return f"no item{' below ' + self._below if self._below else ''} has this name"

    def _several(self, found: list[Item]) -> str:
        return f"{len(found)} items have this name, say which: there {self._keys(found)}"

    def _keys(self, found: list[Item]) -> str:
        """The items as the document may name them."""
        names = [item.key.removeprefix(self._below) for item in found[:SHOWN]]
        shown = [name if "/" in name else f"/{name}" for name in names]
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return f"{'are' if len(found) > 1 else 'is'} {', '.join(shown)}{more}"


def _name(key: str) -> str:
    return key.rpartition("/")[2]
