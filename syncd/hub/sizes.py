"""How large pictures are, as stored: looked up by digest, found out by the decoding child.

Asked for where normalised coordinates have to become pixels, and where annotations are shown.
Requests take turns at the child, picture by picture; each ends after some seconds with what it
found, and its asker goes on from there. That a file is no picture is known from then on as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from syncd.errors import NotFoundError
from syncd.hub import annotating, catalogue, decode
from syncd.hub.schema import ItemRow, pictures
from syncd.hub.store import Store
from syncd.hub.thumbnail import Content, Decoder

SECONDS = 5.0
"""How long one request may measure."""


class Extent(NamedTuple):
    """Width and height of a picture as stored; `orientation` is EXIF's, where it has one."""

    width: int
    height: int
    orientation: int | None


NONE = Extent(0, 0, None)
"""What is kept of content that is no picture."""


class Sized(NamedTuple):
    """An item, and the extent of its picture where that can be told."""

    item: ItemRow
    size: Extent | None


class Sizes:
    """The sizes of one hub's pictures."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._decoder = Decoder()
        self._stopped = False

    def stop(self) -> None:
        """The hub stops: it is not to wait for a picture."""
        self._stopped = True
        self._decoder.kill()

    def of(self, dataset: str, ids: Sequence[str]) -> tuple[list[Sized], int]:
        """The sizes of the first of these items, and how many of the ids that answers."""
        items = annotating.found(self._store, dataset, ids)
        rows = {row.id: row for row in items}
        known = self._known({row.digest for row in items})
        lacking = dict.fromkeys(row.digest for row in items if row.digest not in known)
        fresh, asked = self._measured(list(lacking))
        late = set(lacking) - asked
        first_late = (n for n, id in enumerate(ids) if id in rows and rows[id].digest in late)
        done = next(first_late, len(ids))
        sizes = known | fresh
        some = [rows[id] for id in ids[:done] if id in rows]
        told = {digest: size for digest, size in sizes.items() if size != NONE}
        return [Sized(row, told.get(row.digest)) for row in some], done

    def _known(self, digests: set[bytes]) -> dict[bytes, Extent]:
        found = {}
        ordered = sorted(digests)
        with self._store.catalogue.read() as tx:
            for start in range(0, len(ordered), catalogue.CHUNK):
                some = pictures.c.digest.in_(ordered[start : start + catalogue.CHUNK])
                for row in tx.execute(sa.select(pictures).where(some)):
                    found[row.digest] = Extent(row.width, row.height, row.orientation)
        return found

    def _measured(self, digests: list[bytes]) -> tuple[dict[bytes, Extent], set[bytes]]:
        """What could be found out in time, and which were asked: those of no size as well."""
        found: dict[bytes, Extent] = {}
        asked: set[bytes] = set()
        if not digests:
            return found, asked
        end = time.monotonic() + SECONDS
        try:
            for digest in digests:
                size = self._measure(digest)
                asked.add(digest)
                if size:
                    found[digest] = size
                if self._stopped or time.monotonic() > end:
                    break
        finally:
            with self._turn:
                self._decoder.close()
        self._keep(found)
        return found, asked

    def _measure(self, digest: bytes) -> Extent | None:
        """The size; None where it cannot be told whether there is one."""
        try:
            content = Content(*self._store.open(digest))
        except NotFoundError:
            return None
        with self._turn:
            verdict, data = self._decoder.make(content, 0)
            answered = self._decoder.pid is not None  # a child that died said nothing
        if verdict != decode.MADE:
            return NONE if verdict == decode.NONE and answered else None
        width, height, orientation = decode.EXTENT.unpack(data)
        return Extent(width, height, orientation or None) if width and height else NONE

    def _keep(self, found: dict[bytes, Extent]) -> None:
        """Sizes of content that went meanwhile are not kept: nothing would remove them."""
        if not found:
            return
        with self._store.writing() as tx:
            there = catalogue.held(tx, list(found)).keys() - self._known(set(found)).keys()
            rows = [{"digest": digest, **found[digest]._asdict()} for digest in there]
            if rows:
                tx.execute(sa.insert(pictures), rows)
