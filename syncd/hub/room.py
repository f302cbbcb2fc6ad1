"""Dead bytes back to the disk, without losing a living one.

`garbage` forgets; this removes: only packs and files that no row of `blobs` names, looked at
again under the write lock. A crash anywhere in between leaves dead bytes, never a row without.
Backups, in this or another process, keep `reclaim` from starting while they read.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from syncd.hub import garbage
from syncd.hub.blobs import Place
from syncd.hub.catalogue import CHUNK
from syncd.hub.schema import blobs
from syncd.hub.store import Store

log = logging.getLogger(__name__)
MOVE_BYTES = 8 * 1024 * 1024
DEAD_SHARE = 1 / 8
"""A pack with less dead than this is left as it is: rewriting it would move eight times more."""


def drop_unused(store: Store, before_ns: int) -> int:
    """Forget blobs stored before a time that no item ever came to need; bytes freed."""
    with store.catalogue.read() as tx:
        found = garbage.unused(tx, before_ns)
    freed = 0
    for start in range(0, len(found), CHUNK):
        with store.writing() as tx:
            freed += garbage.drop_blobs(tx, found[start : start + CHUNK])
    return freed


def reclaim(store: Store, stopped: Callable[[], bool] = lambda: False) -> int:
    """Give dead bytes back to the disk; return how many. While a backup reads, nothing is done.

    `stopped` is asked before each pack, of 64 MiB at most."""
    back = 0
    with undisturbed(store.data) as free:
        if not free:
            return 0
        there = list(store.blobs.names())  # before what lives, so that new bytes do not look dead
        with store.catalogue.read() as tx:
            live = {row[0]: int(row[1]) for row in tx.execute(_LIVE)}
        for name, size in itertools.takewhile(lambda _: not stopped(), there):
            dead = size - live.get(name, 0)
            if dead > size * DEAD_SHARE or name not in live:
                back += dead if _rewritten(store, name) else 0
    return back


def _rewritten(store: Store, name: str) -> bool:
    """Rewrite a pack, but leave alone, and say so, what cannot be read as it should."""
    try:
        return _rewrite(store, name)
    except OSError as error:
        log.error("%s cannot be read and stays as it is: %s", name, error)
        return False


def _rewrite(store: Store, name: str) -> bool:
    """Move what lives in a pack elsewhere, then remove it; whether it is gone."""
    while True:
        with store.writing() as tx:
            store.blobs.leave(name)
            rows = tx.execute(
                sa.select(blobs.c.digest, blobs.c.size, blobs.c.offset)
                .where(blobs.c.place == name)
                .order_by(blobs.c.offset)
                .limit(CHUNK)
            ).all()
            if not rows:
                store.blobs.drop(name)
                return True
            if not name.startswith("packs/"):
                return False  # a file that was named again since we looked
            _move(store, tx, name, rows)


def _move(store: Store, tx: sa.Connection, name: str, rows: Sequence[Any]) -> None:
    """Copy some bodies of a pack to the newest one and record it, in the caller's transaction."""
    fd = store.blobs.open(Place(name, 0))
    try:
        bodies: list[bytes] = []
        room = MOVE_BYTES
        for row in rows:
            room -= row.size
            if bodies and room < 0:
                break
            bodies.append(os.pread(fd, row.size, row.offset))
    finally:
        os.close(fd)
    if any(len(body) != row.size for body, row in zip(bodies, rows, strict=False)):
        raise OSError("it is shorter than the catalogue says")
    places = store.blobs.append(bodies)
    tx.execute(
        sa.update(blobs)
        .where(blobs.c.digest == sa.bindparam("key"))
        .values(place=sa.bindparam("to"), offset=sa.bindparam("at")),
        [
            {"key": row.digest, "to": place.name, "at": place.offset}
            for row, place in zip(rows, places, strict=False)
        ],
    )


_LIVE = sa.select(blobs.c.place, sa.func.sum(blobs.c.size)).group_by(blobs.c.place)


@contextmanager
def undisturbed(data: Path) -> Iterator[bool]:
    """Whether no backup reads now; none begins within the block."""
    with _hold(data) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def kept(data: Path) -> Iterator[None]:
    """Within the block no byte that anything referred to at its beginning is removed.

    Waits for a step of `reclaim` to end; other processes may ask, too."""
    with _hold(data) as fd:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield


@contextmanager
def _hold(data: Path) -> Iterator[int]:
    fd = os.open(data / "hold", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
