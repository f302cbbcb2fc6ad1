"""A dataset in memory that keeps annotations, and sidecars to drop beside its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from syncd.annotation.model import AnnotationSet, Size
from syncd.errors import MissingError
from syncd.model import Item, ItemState
from syncd.remotes.base import Outcome
from syncd.remotes.memory import MemoryDataset
from tests.engine.world import World


def sidecar(*labels: str, operation: str | None = None, **more: Any) -> bytes:
    """A sidecar that says these labels, each of a box of its own."""
    origin = {"operation_unique_id": operation, "is_model_run": False} if operation else {}
    some = [
        {"type": "rectangle", "bbox": [n, 0, 10, 10], "label": label, **origin}
        for n, label in enumerate(labels)
    ]
    return json.dumps({"images": [{"image": "any", "annotations": some}], **more}).encode()


class Annotated(MemoryDataset):
    """As the hub: a set takes the place of its operation's, and one that changes nothing does
    nothing. The sets lie on the shelf, by item and operation."""

    def annotate(self, batch: Sequence[AnnotationSet]) -> Sequence[Outcome]:
        about = [some.item_id for some in batch]
        return self._ask("annotate", lambda: [self._annotate(some) for some in batch], about)

    def annotations(
        self, items: Sequence[Item]
    ) -> Iterator[tuple[Item, tuple[AnnotationSet, ...]]]:
        def found() -> list[tuple[Item, tuple[AnnotationSet, ...]]]:
            kept = self._kept()
            return [
                (entry.item, tuple(kept.get(item.id, {}).values()))
                for item in items
                if (entry := self.shelf.entries.get(item.id))
                and entry.item.state is not ItemState.PURGED
            ]

        yield from self._ask("annotations", found, [item.id for item in items])

    def sizes(self, items: Sequence[Item]) -> Iterator[tuple[Item, Size | None]]:
        return iter(())

    def _annotate(self, some: AnnotationSet) -> Outcome:
        entry = self.shelf.entries.get(some.item_id)
        if entry is None or entry.item.state is not ItemState.PRESENT:
            return Outcome(key=some.item_id, error=MissingError("the item is not there"))
        sets = self._kept().setdefault(some.item_id, {})
        if some.annotations:
            sets[some.operation] = some
        else:
            sets.pop(some.operation, None)
        return Outcome(key=some.item_id, item=entry.item)

    def _kept(self) -> dict[str, dict[str, AnnotationSet]]:
        kept: dict[str, dict[str, AnnotationSet]] = self.shelf.__dict__.setdefault("_sets", {})
        return kept


def says(world: World) -> dict[str, dict[str, list[str]]]:
    """What the remote has: the labels of each operation, of each present item that has any."""
    kept = world.shelf.__dict__.get("_sets", {})
    return {
        item.key: {op: [one.label for one in s.annotations] for op, s in kept[item.id].items()}
        for item in world.shelf.present()
        if kept.get(item.id)
    }
