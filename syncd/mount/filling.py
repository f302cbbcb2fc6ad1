"""Rows of what a remote lists: those of an item, and those of all at the first filling."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from syncd.model import Item
from syncd.mount.names import Rank, beside, place
from syncd.mount.rows import ROOT, Row

log = logging.getLogger(__name__)

SOME = 1000
SECOND = 1_000_000_000
"""Nobody tells when annotations were made: each revision of them counts as so much later, so
that whoever compares times sees another."""


class Sidecars(Protocol):
    """Which items have a sidecar, and its bytes; for so many seconds more it waits for sizes."""

    patience_s: float

    def of(self, items: Sequence[Item]) -> dict[str, bytes]:
        """The sidecars of those items that have one, by id; raises RemoteError."""
        ...


class Filling:
    """The first filling: rows in the order of the listing, folders as they come."""

    def __init__(
        self, number: Callable[[], int], insert: Callable[[list[Row]], None], sidecars: Sidecars
    ) -> None:
        self._number = number
        self._insert = insert
        self._sidecars = sidecars
        self._folders: dict[tuple[str, ...], list[int]] = {(): [ROOT, 0]}

    def take(self, items: Iterable[Item]) -> None:
        """Insert all there is."""
        found = iter(items)
        while some := list(islice(found, SOME)):
            sidecars = self._sidecars.of(some)
            rows: list[Row] = []
            for item in some:
                rows += self._rows(item, sidecars.get(item.id))
            self._insert(rows)
        self._insert([
            Row(at[0], self._folders[path[:-1]][0], path[-1], Rank.FOLDER, 0, at[1])
            for path, at in self._folders.items()
            if path
        ])  # fmt: skip

    def _rows(self, item: Item, sidecar: bytes | None) -> Iterator[Row]:
        folder = self._folder(place(item.key).folders)
        folder[1] = max(folder[1], item.modified_ns or 0)
        for row in rows_of(item, sidecar):
            yield row._replace(ino=self._number(), folder=folder[0])

    def _folder(self, path: tuple[str, ...]) -> list[int]:
        found = self._folders.get(path)
        if found is None:
            if path:
                self._folder(path[:-1])
            found = self._folders[path] = [self._number(), 0]
        return found


def rows_of(item: Item, sidecar: bytes | None) -> Iterator[Row]:
    """What an item shows: itself where its size is told, and its sidecar; numbers come later."""
    at = place(item.key)
    digest = bytes.fromhex(item.digest) if item.digest else None
    if item.size is None:
        log.warning("not shown for it has no size item=%s", item.key)
        return
    when = item.modified_ns or 0
    yield Row(
        0, ROOT, at.name, at.rank, item.size, when, item.id, item.version, digest,
        item.key if at.rank == Rank.RENAMED else None,
    )  # fmt: skip
    if sidecar is not None:
        yield Row(
            0, ROOT, beside(at.name), Rank.SIDECAR, len(sidecar), when + item.annotated * SECOND,
            item.id, item.version, None, None, sidecar,
        )  # fmt: skip
