"""Annotations of the remote in memory, by the hub's rules; a part of `MemoryDataset`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from syncd.annotation.model import AnnotationSet, Size
from syncd.annotation.read import WrongError, pointer
from syncd.annotation.sets import LARGEST, from_json, to_json
from syncd.errors import MissingError, RejectedError
from syncd.model import Item, ItemState
from syncd.remotes.base import Outcome
from syncd.remotes.shelf import Shelf

T = TypeVar("T")


class Annotating:
    """`Annotates` of syncd/remotes/base.py, on a shelf."""

    shelf: Shelf
    _source: str

    if TYPE_CHECKING:

        def _ask(self, call: str, answer: Callable[[], T], about: Sequence[str] = ()) -> T: ...

    def annotate(self, batch: Sequence[AnnotationSet]) -> Sequence[Outcome]:
        about = [some.item_id for some in batch]
        return self._ask("annotate", lambda: [self._annotate(some) for some in batch], about)

    def annotations(
        self, items: Sequence[Item]
    ) -> Iterator[tuple[Item, tuple[AnnotationSet, ...]]]:
        def told() -> list[tuple[Item, tuple[AnnotationSet, ...]]]:
            kept = self.shelf.sets
            return [
                (item, tuple(some for _, some in sorted(kept.get(item.id, {}).items())))
                for item in self._there(items)
            ]

        yield from self._ask("annotations", told, [item.id for item in items])

    def sizes(self, items: Sequence[Item]) -> Iterator[tuple[Item, Size | None]]:
        def told() -> list[tuple[Item, Size | None]]:
            known = self.shelf.sizes
            return [(item, known.get(item.digest or "")) for item in self._there(items)]

        yield from self._ask("sizes", told, [item.id for item in items])

    def _there(self, items: Sequence[Item]) -> list[Item]:
        found = [self.shelf.entries.get(item.id) for item in items]
        return [e.item for e in found if e and e.item.state is not ItemState.PURGED]

    def _annotate(self, some: AnnotationSet) -> Outcome:
        entry = self.shelf.entries.get(some.item_id)
        if entry is None or entry.item.state is not ItemState.PRESENT:
            there = entry.item if entry else None
            gone = MissingError("the item is not there")
            return Outcome(key=some.item_id, item=there, error=gone)
        try:
            some = _checked(some)
        except RejectedError as error:
            return Outcome(key=some.item_id, error=error)
        kept = self.shelf.sets.setdefault(some.item_id, {})
        fresh = some if some.annotations else None
        if kept.get(some.operation) == fresh:
            return Outcome(key=some.item_id, item=entry.item)
        if fresh:
            kept[some.operation] = fresh
        else:
            del kept[some.operation]
        item = replace(entry.item, annotated=entry.item.annotated + 1)
        self.shelf.annotated_by[item.id] = self._source
        return Outcome(key=item.id, item=self.shelf.set(item))


def _checked(some: AnnotationSet) -> AnnotationSet:
    """The set as it comes out of the wire."""
    text = json.dumps(to_json(some))
    if len(text) > LARGEST:
        raise RejectedError("more annotations of one operation than are taken")
    try:
        return from_json(json.loads(text))
    except WrongError as error:
        raise RejectedError(f"{pointer(*error.way)}: {error.reason}") from error
