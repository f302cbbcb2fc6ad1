"""Which files have their annotations shown beside them, and the bytes of that."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum

from syncd.annotation.model import Size
from syncd.annotation.sidecar import render
from syncd.errors import TransientError
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
        self.patience_s = math.inf
        """For how long sizes may be waited for from now on; then sidecars do without them."""

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
            sizes = self._sizes(dataset, annotated)
            for now, sets in dataset.annotations(annotated):
                # rendered for the version that is shown, though there may be a newer one
                if self._mode == Mode.ALL or any(some.annotations for some in sets):
                    item = shown[now.id]
                    yield now.id, render(item, sets, sizes.get(item.digest))

    def _sizes(self, dataset: Annotates, items: Sequence[Item]) -> dict[str | None, Size | None]:
        """Sizes by digest, as many as patience allows: a remote may have to measure them all."""
        found: dict[str | None, Size | None] = {}
        begun = time.monotonic()
        if self.patience_s <= 0:
            return found
        try:
            for now, size in dataset.sizes(items):
                found[now.digest] = size
                if time.monotonic() - begun > self.patience_s:
                    break
        except TransientError:
            if time.monotonic() - begun < self.patience_s:
                raise
        self.patience_s -= time.monotonic() - begun
        return found
