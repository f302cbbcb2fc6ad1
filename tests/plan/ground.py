"""A disk and a remote in memory, and what may happen to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from syncd.model import Item, ItemState, Stat


@dataclass
class File:
    stat: Stat
    content: str


@dataclass
class Ground:
    disk: dict[str, File] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    _given: int = 0

    def write(self, path: str, content: str) -> None:
        number = self._number()
        self.disk[path] = File((1 + ord(content[0]) % 2, number, number), content)

    def _number(self) -> int:
        self._given += 1
        return self._given

    def rename(self, old: str, new: str) -> None:
        self.disk[new] = self.disk.pop(old)

    def put(self, key: str, content: str, by: str = "ann") -> Item | None:
        """Somebody stores something where nothing is."""
        if self.at(key):
            return None
        return self.store(Item(key=key, id=f"i{self._number()}", digest=content, by=by))

    def change(self, item: Item, **fields: Any) -> None:
        """Somebody else changes a present item, or purges a trashed one."""
        if "key" not in fields or self.at(fields["key"]) is None:
            self.store(replace(item, **fields))

    def trashed(self) -> list[Item]:
        return [item for item in self.items.values() if item.state is ItemState.TRASHED]

    def at(self, key: str) -> Item | None:
        found = [item for item in self.present() if item.key == key]
        assert len(found) <= 1, f"two items under {key}"
        return found[0] if found else None

    def present(self) -> list[Item]:
        return [item for item in self.items.values() if item.state is ItemState.PRESENT]

    def store(self, item: Item) -> Item:
        """Keep an item as a new version."""
        self.items[item.id] = replace(item, version=self._number())
        return self.items[item.id]
