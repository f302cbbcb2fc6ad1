"""A remote in memory: what a remote must do, said in code; for tests and for trying things out.

The rules are the hub's (docs/design.md, section 7). A `Shelf` is one dataset as the service keeps
it; `trouble` is asked at every request and may order a fault. What is true of a real remote's
clients must hold against this one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from typing import TypeVar

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
from syncd.remotes.memory_annotations import Annotating
from syncd.remotes.shelf import Shelf, bytes_of, order
from syncd.value import value

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


@value
class Request:
    """What a client asks for: the method of `Dataset`, and the keys or ids it is about."""

    call: str
    about: tuple[str, ...] = ()


Trouble = Callable[[Request], Fault | None]


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

    def bind(self, info: DatasetInfo, *, source: str = "") -> PlainDataset:
        return self._kind(self, self.shelves[info.name], self._traits, source)

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
            return bytes_of(self.shelf, item)[offset:][:length]

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


class MemoryDataset(Annotating, PlainDataset):
    """A dataset that can do everything there is a protocol for."""

    def find(self, key: str) -> Item | None:
        return self._ask("find", lambda: self.shelf.find(key), [key])

    def move(self, batch: Sequence[Move]) -> Sequence[Outcome]:
        return self._ask("move", lambda: [self._move(m) for m in batch], [m.key for m in batch])

    def fetch(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | SyncdError]]:
        def found(item: Item) -> bytes | SyncdError:
            try:
                return bytes_of(self.shelf, item)
            except MissingError as error:
                return error

        answers = self._ask("fetch", lambda: [found(i) for i in items], [i.key for i in items])
        yield from zip(items, answers, strict=True)

    def changes(self, cursor: int, *, wait: float = 0.0, mine: bool = False) -> Changes:
        """As the protocol says, but that it never waits."""

        def news() -> Changes:
            found = [e for e in self.shelf.entries.values() if e.seq > cursor]
            told = [e for e in found if mine or not self._source or self._is_news(e.item)]
            told.sort(key=lambda entry: entry.seq)
            more = len(told) > PAGE
            return Changes(
                items=tuple(entry.item for entry in told[:PAGE]),
                cursor=told[PAGE - 1].seq if more else self.shelf.seq,
                more=more,
                generation=self.shelf.generation,
            )

        return self._ask("changes", news)

    def _is_news(self, item: Item) -> bool:
        """Whether somebody else changed the item or its annotations last."""
        annotator = self.shelf.annotated_by.get(item.id, "")
        return item.by != self._source or annotator not in ("", self._source)

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
        return sorted(found, key=lambda item: order(item.key))

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
