"""Which files have their annotations shown beside them, and the bytes of that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from syncd.annotation.sidecar import render
from syncd.model import Item
from syncd.remotes.base import Annotates, Dataset


class Mode(StrEnum):
    """Beside which files a sidecar is shown."""

    ANNOTATED = "annotated"
    ALL = "all"
    NONE = "none"


class Beside:
    """The sidecars of one dataset; none where its remote keeps no annotations."""

    def __init__(self, dataset: Dataset, mode: Mode) -> None:
        self._dataset = dataset
        self._mode = mode

    def of(self, items: Sequence[Item]) -> dict[str, bytes]:
        """The sidecars of those items that have one, by id; raises RemoteError."""
        return dict(self._rendered(items))

    def _rendered(self, items: Sequence[Item]) -> Iterator[tuple[str, bytes]]:
        dataset = self._dataset
        if self._mode == Mode.NONE or not isinstance(dataset, Annotates):
            return
        annotated = [item for item in items if item.annotated]
        if self._mode == Mode.ALL:
            yield from ((item.id, render(item, ())) for item in items if not item.annotated)
        if annotated:
            shown = {item.id: item for item in annotated}
            sizes = {now.digest: size for now, size in dataset.sizes(annotated)}
            for now, sets in dataset.annotations(annotated):
                # rendered for the version that is shown, though there may be a newer one
                if self._mode == Mode.ALL or any(some.annotations for some in sets):
                    item = shown[now.id]
                    yield now.id, render(item, sets, sizes.get(item.digest))
