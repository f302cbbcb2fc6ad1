"""Many small bodies in one answer: what a reader of thousands of little files asks for.

Asked by digest, so that nobody can be sent another version's bytes; a digest counts while an item
of the dataset, or a kept version of one, has it. Bodies that lie side by side in a pack are read
by one call. What cannot be read when its turn comes breaks the answer off: the client asks again.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from fastapi.responses import Response, StreamingResponse

from syncd import frame
from syncd.errors import NotFoundError
from syncd.hub import forms, keys, schema
from syncd.hub.answers import TheHub
from syncd.hub.blobs import BlobStore, Place
from syncd.hub.catalogue import STEP
from syncd.hub.core import Hub
from syncd.hub.schema import ItemRow, versions
from syncd.hub.store import Store

router = APIRouter()
MAX_FILES = 1_000
MAX_BYTES = 32 * 1024 * 1024
CHUNK = 512 * 1024


class Blob(NamedTuple):
    """The bytes of a digest, and where they lie: a row of the table."""

    digest: bytes
    size: int
    place: str
    offset: int


class Held(NamedTuple):
    """What of the asked is there, and the blobs to read it from: a store may be exchanged."""

    blobs: BlobStore
    found: dict[bytes, Blob]


@router.post(
    "/v1/datasets/{id}/fetch",
    response_class=Response,
    responses={200: {"content": {frame.CONTENT_TYPE: {}}}},
)
async def fetch(hub: TheHub, id: str, body: forms.Digests) -> Any:
    digests = [keys.digest(text) for text in body.digests]
    if len(digests) > MAX_FILES:
        raise HTTPException(413, f"at most {MAX_FILES} digests may be asked for at a time")
    held = await hub.read(_find, hub.store, id, digests)
    found = held.found
    bodies = [found[digest] for digest in digests if digest in found]
    total = sum(one.size for one in bodies)
    if total > MAX_BYTES:
        raise HTTPException(413, f"at most {MAX_BYTES} bytes may be asked for at a time")
    ops = [{"body": found[d].size} if d in found else {"status": "missing"} for d in digests]
    head = b"".join(frame.pack(ops, ()))
    headers = {"content-length": str(len(head) + total)}
    return StreamingResponse(
        _answer(hub, held.blobs, head, bodies), headers=headers, media_type=frame.CONTENT_TYPE
    )


async def _answer(
    hub: Hub, blobs: BlobStore, head: bytes, bodies: Sequence[Blob]
) -> AsyncIterator[bytes]:
    yield head
    for some in _portions(bodies):
        yield await hub.read(_read, hub.store, blobs, some)


def _portions(bodies: Sequence[Blob]) -> Iterator[list[Blob]]:
    """As many as are read and sent at a time; the first ones at once."""
    some: list[Blob] = []
    room = CHUNK // 8
    for body in bodies:
        some.append(body)
        room -= body.size
        if room <= 0:
            yield some
            some, room = [], CHUNK
    if some:
        yield some


def _read(store: Store, blobs: BlobStore, bodies: Sequence[Blob]) -> bytes:
    return b"".join([_read_run(store, blobs, run) for run in _runs(bodies)])


def _runs(bodies: Sequence[Blob]) -> Iterator[list[Blob]]:
    """Bodies that lie back to back."""
    run: list[Blob] = []
    for body in bodies:
        if run and (body.place, body.offset) != (run[-1].place, run[-1].offset + run[-1].size):
            yield run
            run = []
        run.append(body)
    if run:
        yield run


def _read_run(store: Store, blobs: BlobStore, run: Sequence[Blob]) -> bytes:
    first = run[0]
    try:
        fd = blobs.open(Place(first.place, first.offset))
    except FileNotFoundError:  # moved to another pack since it was looked up
        return b"".join([_read_moved(store, body.digest) for body in run])
    return _read_all(fd, sum(body.size for body in run), first.offset)


def _read_moved(store: Store, digest: bytes) -> bytes:
    fd, offset, size = store.open(digest)
    return _read_all(fd, size, offset)


def _read_all(fd: int, length: int, offset: int) -> bytes:
    try:
        data = os.pread(fd, length, offset)
    finally:
        os.close(fd)
    if len(data) != length:
        raise OSError("the stored bytes are shorter than the catalogue says")
    return data


def _find(store: Store, dataset: str, digests: Sequence[bytes]) -> Held:
    """Those of the digests that the dataset needs, with where they lie."""
    blobs = store.blobs
    store.catalogue.dataset(id=dataset)
    wanted = list(dict.fromkeys(digests))
    found: dict[bytes, Blob] = {}
    with store.catalogue.read() as tx:
        for start in range(0, len(wanted), STEP):
            some = wanted[start : start + STEP]
            size = schema.filled(len(some))
            values = (*some, *(some[:1] * (size - len(some))), dataset, dataset)
            rows = [Blob._make(row) for row in schema.run(tx, _query(size), values)]
            found.update((row.digest, row) for row in rows)
    return Held(blobs, found) if store.blobs is blobs else _find(store, dataset, digests)


@cache
def _query(size: int) -> sa.TextClause:
    """The `|| ''` keeps SQLite from looking through the dataset for each: 500 µs a file, not 5."""
    places = ", ".join(f":d{n}" for n in range(size))
    return sa.text(
        'SELECT digest, size, place, "offset" FROM blobs '  # noqa: S608 - nothing foreign in it
        f"WHERE digest IN ({places}) AND (EXISTS (SELECT 1 FROM items "
        "WHERE items.digest = blobs.digest AND items.state <> 'purged' "
        "AND items.dataset || '' = :one) "
        "OR EXISTS (SELECT 1 FROM versions JOIN items ON items.id = versions.item "
        "WHERE versions.digest = blobs.digest AND items.dataset = :two))"
    )


def version(store: Store, id: str, digest: bytes | None) -> ItemRow:
    """The item, as it was when its content had this digest; NotFoundError where none is kept."""
    row = store.catalogue.item(id)
    if row.state == "purged":
        raise NotFoundError("the item's content is gone for good")
    if digest in (None, row.digest):
        return row
    kept = sa.select(versions.c.digest, versions.c.size).where(
        versions.c.item == id, versions.c.digest == digest
    )
    with store.catalogue.read() as tx:
        found = tx.execute(kept.limit(1)).one_or_none()
    if found is None:
        raise NotFoundError("this version of the item is not kept any more")
    return row._replace(digest=found.digest, size=found.size)
