"""One dataset of the remote in memory, as the service keeps it, with the hands of whoever else is
at work there. `memory` answers requests from it; tests reach in."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from hashlib import sha256
from uuid import uuid4

from syncd.annotation.model import AnnotationSet, Size
from syncd.errors import MissingError
from syncd.model import Item, ItemState


@dataclass(frozen=True, slots=True)
class Entry:
    """An item with its content, and when it changed."""

    item: Item
    content: bytes
    seq: int


@dataclass
class Shelf:
    """One dataset as the service keeps it. The methods are the hands of a person (`by`)."""

    name: str
    id: str = field(default_factory=lambda: uuid4().hex)
    generation: str = "first"
    entries: dict[str, Entry] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    """The id of the present item under each key."""
    seq: int = 0
    ids: int = 0
    """How many were given."""
    replaced: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """What is kept of replaced versions, by id and digest."""
    sets: dict[str, dict[str, AnnotationSet]] = field(default_factory=dict)
    """Annotations by item and operation."""
    annotated_by: dict[str, str] = field(default_factory=dict)
    """Who annotated an item last."""
    sizes: dict[str, Size] = field(default_factory=dict)
    """The sizes of pictures by digest, for who wants them known."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def find(self, key: str) -> Item | None:
        found = self.at.get(key)
        return self.entries[found].item if found else None

    def content(self, key: str) -> bytes:
        return self.entries[self.at[key]].content

    def present(self) -> list[Item]:
        """In (folder, name) order, as bytes."""
        return [self.entries[self.at[key]].item for key in sorted(self.at, key=order)]

    def store(self, key: str, content: bytes, *, by: str = "ann", modified_ns: int = 0) -> Item:
        """Put or replace, whatever is there."""
        there = self.find(key)
        self.ids += there is None
        item = Item(
            key=key,
            id=there.id if there else f"i{self.ids:06}",
            version=(there.version or 0) + 1 if there else 1,
            digest=sha256(content).hexdigest(),
            size=len(content),
            modified_ns=modified_ns,
            by=by,
            annotated=there.annotated if there else 0,
        )
        return self.set(item, content)

    def rename(self, key: str, new: str, *, by: str = "ann") -> Item:
        item = self.entries[self.at[key]].item
        if new in self.at:
            raise ValueError(f"{new!r} is taken")
        return self.set(replace(item, key=new, version=(item.version or 0) + 1, by=by))

    def trash(self, key: str, *, by: str = "ann") -> Item:
        item = self.entries[self.at[key]].item
        return self.set(replace(item, state=ItemState.TRASHED, by=by))

    def purge(self, id: str, *, by: str = "ann") -> Item:
        """Who took it away is who trashed it, and not who emptied the trash."""
        item = self.entries[id].item
        by = item.by if item.state is ItemState.TRASHED else by
        self.sets.pop(id, None)
        return self.set(replace(item, state=ItemState.PURGED, by=by), b"")

    def restore(self, id: str, *, by: str = "ann") -> Item:
        return self.set(replace(self.entries[id].item, state=ItemState.PRESENT, by=by))

    def vanish(self, key: str) -> None:
        """Lose an item without a trace: no tombstone, no entry in the feed."""
        del self.entries[self.at.pop(key)]

    def backup(self) -> Shelf:
        return Shelf(
            self.name, entries=dict(self.entries), at=dict(self.at), ids=self.ids,
            sets={id: dict(sets) for id, sets in self.sets.items()},
        )  # fmt: skip

    def put_back(self, backup: Shelf, generation: str) -> None:
        """Return to an older state, as after a restore: versions and ids may come again."""
        self.entries, self.at = dict(backup.entries), dict(backup.at)
        self.sets = {id: dict(sets) for id, sets in backup.sets.items()}
        self.ids, self.generation = backup.ids, generation
        self.seq += 1

    def set(self, item: Item, content: bytes | None = None) -> Item:
        """Make `item` what is known under its id; the feed tells of it."""
        before = self.entries.get(item.id)
        if before and before.item.state is ItemState.PRESENT:
            del self.at[before.item.key]
        if item.state is ItemState.PRESENT:
            self.at[item.key] = item.id
        self.seq += 1
        if before and before.item.digest and item.digest != before.item.digest:
            self.replaced[item.id, before.item.digest] = before.content
        kept = content if content is not None else before.content if before else b""
        self.entries[item.id] = Entry(item, kept, self.seq)
        return item


def bytes_of(shelf: Shelf, item: Item) -> bytes:
    """The content of the version that `item` is, which may have been replaced."""
    entry = shelf.entries.get(item.id)
    if entry is None or entry.item.state is ItemState.PURGED:
        raise MissingError("the item is not there")
    if item.digest in (None, entry.item.digest):
        return entry.content
    if (item.id, item.digest) not in shelf.replaced:
        raise MissingError("this version is not there any more")
    return shelf.replaced[item.id, item.digest or ""]


def order(key: str) -> tuple[bytes, bytes]:
    """Of listings: by folder and name, as bytes."""
    folder, _, name = key.rpartition("/")
    return folder.encode(), name.encode()
