"""A remote in memory: what a remote must do, said in code; for tests and for trying things out.

The rules are the hub's (docs/design.md, section 7). A `Shelf` is one dataset as the service keeps
it, with the hands of whoever else is at work there; `trouble` is asked at every request and may
order a fault. What is true of a real remote's clients must hold against this one as well.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from itertools import count
from typing import TypeVar
from uuid import uuid4

from syncd.errors import (
    ConflictError,
    DeniedError,
    GarbledError,
    MissingError,
    NotFoundError,
    RejectedError,
    SyncdError,
    TransientError,
    UnsettledError,
)
from syncd.model import Item, ItemState
from syncd.remotes.base import Changes, DatasetInfo, Move, Outcome, Removal, Traits, Upload

PAGE = 1000
T = TypeVar("T")


class Fault(StrEnum):
    """What may become of a request, other than that it is answered."""

    UNREACHABLE = "unreachable"
    """It never arrived."""
    LOST = "lost"
    """It was carried out, and the answer was lost on its way."""
    BUSY = "busy"
    """429 with Retry-After: nothing was done."""
    OVERLOADED = "overloaded"
    """503 with a Retry-After of an hour: nothing was done."""
    BROKEN = "broken"
    """500: nothing was done."""
    GARBLED = "garbled"
    """It was carried out, and the answer makes no sense."""
    REJECTED = "rejected"
    """422: nothing was done, nor ever will be."""
    MISSING = "missing"
    """404: the dataset itself is not there."""
    DENIED = "denied"
    """401: nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks for: the method of `Dataset`, and the keys or ids it is about."""

    call: str
    about: tuple[str, ...] = ()


Trouble = Callable[[Request], Fault | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    item: Item
    content: bytes
    seq: int


@dataclass
class Shelf:
    """One dataset as the service keeps it. The methods are the hands of a person (`by`)."""

    name: str
    id: str = field(default_factory=lambda: uuid4().hex)
    generation: str = "first"
    entries: dict[str, _Entry] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    """The id of the present item under each key."""
    seq: int = 0
    ids: count[int] = field(default_factory=lambda: count(1))
    replaced: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """What is kept of replaced versions, by id and digest."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def find(self, key: str) -> Item | None:
        found = self.at.get(key)
        return self.entries[found].item if found else None

    def content(self, key: str) -> bytes:
        return self.entries[self.at[key]].content

    def bytes_of(self, item: Item) -> bytes:
        """The content of the version that `item` is, which may have been replaced."""
        entry = self.entries.get(item.id)
        if entry is None or entry.item.state is ItemState.PURGED:
            raise MissingError("the item is not there")
        if item.digest in (None, entry.item.digest):
            return entry.content
        if (item.id, item.digest) not in self.replaced:
            raise MissingError("this version is not there any more")
        return self.replaced[item.id, item.digest or ""]

    def present(self) -> list[Item]:
        """In (folder, name) order, as bytes."""
        return [self.entries[self.at[key]].item for key in sorted(self.at, key=_order)]

    def store(self, key: str, content: bytes, *, by: str = "ann", modified_ns: int = 0) -> Item:
        """Put or replace, whatever is there."""
        there = self.find(key)
        item = Item(
            key=key,
            id=there.id if there else f"i{next(self.ids):06}",
            version=(there.version or 0) + 1 if there else 1,
            digest=sha256(content).hexdigest(),
            size=len(content),
            modified_ns=modified_ns,
            by=by,
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
        return self.set(replace(item, state=ItemState.PURGED, by=by), b"")

    def restore(self, id: str, *, by: str = "ann") -> Item:
        return self.set(replace(self.entries[id].item, state=ItemState.PRESENT, by=by))

    def vanish(self, key: str) -> None:
        """Lose an item without a trace: no tombstone, no entry in the feed."""
        del self.entries[self.at.pop(key)]

    def backup(self) -> Shelf:
        return Shelf(
            self.name, entries=dict(self.entries), at=dict(self.at), ids=copy.copy(self.ids)
        )

    def put_back(self, backup: Shelf, generation: str) -> None:
        """Return to an older state, as after a restore: versions and ids may come again."""
        self.entries, self.at = dict(backup.entries), dict(backup.at)
        self.ids, self.generation = copy.copy(backup.ids), generation
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
        self.entries[item.id] = _Entry(item, kept, self.seq)
        return item


class MemoryRemote:
    """A service with shelves. `kind` says what its datasets can do."""

    def __init__(
        self,
        *,
        traits: Traits | None = None,
        kind: type[PlainDataset] | None = None,
        trouble: Trouble = lambda request: None,
    ) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.trouble = trouble
        self.sent = 0
        """Body bytes that travelled."""
        self._traits = traits or Traits()
        self._kind = kind or MemoryDataset

    def check(self) -> None:
        self.asked("check", lambda: None)

    def datasets(self) -> Iterator[DatasetInfo]:
        return iter(self.asked("datasets", lambda: [_info(s) for s in self.shelves.values()]))

    def open(self, name: str, *, create: bool, source: str = "") -> PlainDataset:
        def find() -> Shelf:
            if create:
                return self.shelves.setdefault(name, Shelf(name))
            if name not in self.shelves:
                raise NotFoundError(f"there is no dataset {name!r}")
            return self.shelves[name]

        return self._kind(self, self.asked("open", find), self._traits, source)

    def close(self) -> None:
        """Nothing is held."""

    def asked(self, call: str, answer: Callable[[], T], about: Sequence[str] = ()) -> T:
        """Answer a request, unless `trouble` has something else for it."""
        fault = self.trouble(Request(call=call, about=tuple(about)))
        if fault in (None, Fault.LOST, Fault.GARBLED):
            answered = answer()
        if fault is not None:
            raise _ERRORS[fault]()
        return answered


_ERRORS: dict[Fault, Callable[[], SyncdError]] = {
    Fault.UNREACHABLE: lambda: TransientError("does not answer: connection refused"),
    Fault.LOST: lambda: TransientError("does not answer: connection reset"),
    Fault.BUSY: lambda: TransientError("busy", retry_after=7.0),
    Fault.OVERLOADED: lambda: TransientError("overloaded", retry_after=3600.0),
    Fault.BROKEN: lambda: TransientError("HTTP status 500", answered=True),
    Fault.GARBLED: lambda: GarbledError("the answer is no JSON"),
    Fault.REJECTED: lambda: RejectedError("HTTP status 422"),
    Fault.MISSING: lambda: MissingError("there is no such dataset"),
    Fault.DENIED: lambda: DeniedError("the token is not valid", hint="check the token"),
}


class PlainDataset:
    """The least a dataset can be: it lists, stores, removes and reads."""

    def __init__(self, remote: MemoryRemote, shelf: Shelf, traits: Traits, source: str) -> None:
        self.info = _info(shelf)
        self.traits = traits
        self.shelf = shelf
        self._remote = remote
        self._source = source

    def items(self, folder: str = "") -> Iterator[Item]:
        def listed() -> list[Item]:
            below = f"{folder}/"
            return [i for i in self.shelf.present() if not folder or i.key.startswith(below)]

        for item in self._ask("items", listed):
            yield item if self.traits.digest else replace(item, digest=None)

    def put(self, batch: Sequence[Upload]) -> Sequence[Outcome]:
        return self._ask("put", lambda: [self._put(u) for u in batch], [u.key for u in batch])

    def remove(self, batch: Sequence[Removal]) -> Sequence[Outcome]:
        return self._ask("remove", lambda: [self._remove(r) for r in batch], [r.key for r in batch])

    def read(self, item: Item, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        def content() -> bytes:
            return self.shelf.bytes_of(item)[offset:][:length]

        yield self._ask("read", content)

    def _ask(self, call: str, answer: Callable[[], T], about: Sequence[str] = ()) -> T:
        with self.shelf.lock:
            return self._remote.asked(call, answer, about)

    def _put(self, upload: Upload) -> Outcome:
        key, there = upload.key, self.shelf.find(upload.key)
        if there and there.digest == upload.digest:
            return Outcome(key=key, item=there)
        if upload.expect != (there.version if there else None):
            return Outcome(key=key, item=there, error=ConflictError("the key is taken"))
        if there and upload.item_id not in (None, there.id):
            return Outcome(key=key, item=there, error=ConflictError("another item has the key"))
        content = _content(upload)
        if sha256(content).hexdigest() != upload.digest:
            return Outcome(key=key, error=UnsettledError("changed while it was sent"))
        self._remote.sent += len(content)
        item = self.shelf.store(key, content, by=self._source, modified_ns=upload.modified_ns)
        return Outcome(key=key, item=item, sent=len(content))

    def _remove(self, removal: Removal) -> Outcome:
        entry = self.shelf.entries.get(removal.item_id)
        wanted = ItemState.PURGED if removal.forever else ItemState.TRASHED
        if entry is None:
            return Outcome(key=removal.key, error=MissingError("the item is not there"))
        item = entry.item
        if item.state in (wanted, ItemState.PURGED):
            return Outcome(key=removal.key, item=item)
        if removal.expect not in (None, item.version):
            return Outcome(key=removal.key, item=item, error=ConflictError("it was changed"))
        if removal.forever:
            return Outcome(key=removal.key, item=self.shelf.purge(item.id, by=self._source))
        done = self.shelf.set(replace(item, state=wanted, by=self._source))
        return Outcome(key=removal.key, item=done)


class MemoryDataset(PlainDataset):
    """A dataset that can do everything there is a protocol for."""

    def find(self, key: str) -> Item | None:
        return self._ask("find", lambda: self.shelf.find(key), [key])

    def move(self, batch: Sequence[Move]) -> Sequence[Outcome]:
        return self._ask("move", lambda: [self._move(m) for m in batch], [m.key for m in batch])

    def fetch(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | SyncdError]]:
        def found(item: Item) -> bytes | SyncdError:
            try:
                return self.shelf.bytes_of(item)
            except MissingError as error:
                return error

        answers = self._ask("fetch", lambda: [found(i) for i in items], [i.key for i in items])
        yield from zip(items, answers, strict=True)

    def changes(self, cursor: int, *, wait: float = 0.0, mine: bool = False) -> Changes:
        """As the protocol says, but that it never waits."""

        def news() -> Changes:
            found = [e for e in self.shelf.entries.values() if e.seq > cursor]
            told = [e for e in found if mine or not self._source or e.item.by != self._source]
            told.sort(key=lambda entry: entry.seq)
            more = len(told) > PAGE
            return Changes(
                items=tuple(entry.item for entry in told[:PAGE]),
                cursor=told[PAGE - 1].seq if more else self.shelf.seq,
                more=more,
                generation=self.shelf.generation,
            )

        return self._ask("changes", news)

    def generation(self) -> str:
        return self._ask("generation", lambda: self.shelf.generation)

    def trashed(self) -> Iterator[Item]:
        return iter(self._ask("trashed", lambda: self._in_trash()))

    def restore(self, items: Sequence[Item]) -> Sequence[Outcome]:
        return self._ask("restore", lambda: [self._restore(item) for item in items])

    def empty_trash(self) -> int:
        def purge() -> int:
            return len([self.shelf.purge(i.id, by=self._source) for i in self._in_trash()])

        return self._ask("empty_trash", purge)

    def _in_trash(self) -> list[Item]:
        items = [entry.item for entry in self.shelf.entries.values()]
        found = [item for item in items if item.state is ItemState.TRASHED]
        return sorted(found, key=lambda item: _order(item.key))

    def _move(self, move: Move) -> Outcome:
        entry = self.shelf.entries.get(move.item_id)
        if entry is None or entry.item.state is not ItemState.PRESENT:
            item = entry.item if entry else None
            return Outcome(key=move.key, item=item, error=MissingError("the item is not there"))
        item, taken = entry.item, self.shelf.find(move.key)
        if item.key == move.key:
            return Outcome(key=move.key, item=item)
        if move.expect not in (None, item.version):
            return Outcome(key=move.key, item=item, error=ConflictError("it was changed"))
        if taken:
            return Outcome(key=move.key, item=taken, error=ConflictError("the key is taken"))
        return Outcome(key=move.key, item=self.shelf.rename(item.key, move.key, by=self._source))

    def _restore(self, item: Item) -> Outcome:
        entry = self.shelf.entries.get(item.id)
        if entry is None or entry.item.state is ItemState.PURGED:
            return Outcome(key=item.key, error=MissingError("the item is gone for good"))
        taken = self.shelf.find(entry.item.key)
        if taken and taken.id != item.id:
            return Outcome(key=item.key, item=taken, error=ConflictError("the key is taken"))
        return Outcome(key=item.key, item=self.shelf.restore(item.id, by=self._source))


def _content(upload: Upload) -> bytes:
    if upload.content is not None:
        return upload.content
    try:
        return upload.file.read_bytes()
    except OSError:
        return b""


def _info(shelf: Shelf) -> DatasetInfo:
    present = shelf.present()
    size = sum(item.size or 0 for item in present)
    return DatasetInfo(id=shelf.id, name=shelf.name, items=len(present), bytes=size)


def _order(key: str) -> tuple[bytes, bytes]:
    folder, _, name = key.rpartition("/")
    return folder.encode(), name.encode()
