"""A hub's whole content in another folder, and back.

A backup may be taken by any process while the hub runs: first the catalogue, in one consistent
piece, then exactly the bytes it names, each digested on the way. It is complete when it carries its
final name. A restore copies and digests the same way before anything is exchanged; what was there
before is kept beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import file_digest, sha256
from itertools import groupby
from pathlib import Path
from typing import Any

from syncd.disk import sync, write_each
from syncd.errors import BusyError, NotFoundError, StateError, UsageError
from syncd.hub import room, schema
from syncd.hub.lock import locked
from syncd.hub.store import Store, current
from syncd.value import value

CHUNK = 1024 * 1024
MARK = "syncd-backup.json"
"""Written last; a folder without it is no backup."""
_PLACE = re.compile(r"packs/\d{8,}|files/[0-9a-f]{2}/[0-9a-f]{64}")
Row = tuple[bytes, int, str, int]


@value
class Report:
    """How many blobs and bytes were copied to `path`, all of them verified."""

    path: str
    blobs: int
    bytes: int


def backup(data: Path, dest: Path) -> Report:
    """Copy a hub's content to a folder that is not there yet, while the hub may be running.

    Raises UsageError where something is at `dest`, NotFoundError where there is no hub's data,
    BusyError where another backup goes there, StateError naming what is damaged or does not fit.
    Then nothing is left at `dest`.
    """
    if not (data / "current").exists():
        raise NotFoundError("there is no hub's data here", path=str(data))
    if dest.exists():
        raise UsageError("is there already: a backup goes to a new folder", path=str(dest))
    if not dest.parent.is_dir():
        raise NotFoundError("there is no such folder", path=str(dest.parent))
    part = dest.with_name(f"{dest.name}.part")
    with _alone(part, dest), _fresh(part, dest), room.kept(data):
        report = _copy(current(data), part, dest)
        catalogue = _digest(part / "catalogue.db")
        mark = {"catalogue": catalogue, "blobs": report.blobs, "bytes": report.bytes}
        _write(part / MARK, json.dumps({"schema": schema.VERSION, **mark}))
    return report


def restore(data: Path, source: Path) -> Path:
    """Put a backup in the place of what is held, where no hub runs; where the old store is kept.

    Raises BusyError naming the running hub: then ask that hub.
    """
    with locked(data):
        store = Store(data)
        try:
            return restore_open(store, source)
        finally:
            store.close()


def restore_open(store: Store, source: Path) -> Path:
    """Put a backup in the place of what an open store holds; where the old one is kept.

    Raises NotFoundError where there is no backup at `source`, StateError where it is damaged.
    """
    mark = _mark(source)
    following = store.data / "stores" / str(store.clock.now_ns())
    part = following.with_name(f"{following.name}.part")
    with _fresh(part, following):
        report = _copy(source, part, following)
        if (report.blobs, report.bytes) != (mark.get("blobs"), mark.get("bytes")):
            raise StateError("the backup does not hold what its mark says", path=str(source))
    try:
        return store.swap(following)
    except BaseException:
        if current(store.data) != following:
            shutil.rmtree(following, ignore_errors=True)
        raise


def _mark(source: Path) -> dict[str, Any]:
    """What a finished backup says about itself, once its catalogue is what it was then."""
    try:
        mark = json.loads((source / MARK).read_text())
    except OSError as error:
        raise NotFoundError("there is no finished backup here", path=str(source)) from error
    except ValueError as error:
        raise StateError("the backup's mark is damaged", path=str(source / MARK)) from error
    catalogue = source / "catalogue.db"
    if not catalogue.is_file() or not isinstance(mark, dict):
        raise StateError("the backup is not whole", path=str(source))
    if isinstance(written := mark.get("schema"), int) and written > schema.VERSION:
        raise StateError(
            f"the backup is of version {written}, newer than {schema.VERSION}",
            path=str(source),
            hint="use the program that wrote it, or a newer one",
        )
    if _digest(catalogue) != mark.get("catalogue"):
        raise StateError("the backup's catalogue is damaged", path=str(catalogue))
    return mark


@contextmanager
def _alone(part: Path, dest: Path) -> Iterator[None]:
    """Nobody else copies to `part`; BusyError. What says so is gone after the block."""
    file = part.with_name(f"{part.name}.lock")
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(fd, file):
            raise BusyError("another backup is being written there", path=str(dest))
        try:
            yield
        finally:
            file.unlink()
    finally:
        os.close(fd)


def _taken(fd: int, file: Path) -> bool:
    """Whether the lock is ours, and still the one of that name: its owner may just have ended."""
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), file.stat())
    return False


@contextmanager
def _fresh(part: Path, dest: Path) -> Iterator[None]:
    """A folder that gets its name when all in it is there and durable, or is removed."""
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(mode=0o700)
    try:
        yield
        for folder, _, _ in os.walk(part):
            sync(Path(folder))
        part.rename(dest)
        sync(dest.parent)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StateError(f"could not be written: {error}", path=str(dest)) from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _copy(source: Path, target: Path, final: Path) -> Report:
    """Copy catalogue and blobs, each digested; StateError lists what is not as it should be."""
    _copy_catalogue(source / "catalogue.db", target / "catalogue.db")
    number = size = 0
    damaged: list[bytes] = []
    with closing(sqlite3.connect(target / "catalogue.db")) as catalogue:
        rows: Iterable[Row] = catalogue.execute(
            "SELECT digest, size, place, offset FROM blobs ORDER BY place, offset"
        )
        for place, some in groupby(rows, key=lambda row: row[2]):
            for digest, length, good in _copy_place(source, target, place, some):
                number, size = number + 1, size + length
                if not good:
                    damaged.append(digest)
        if damaged:
            raise StateError(_complaint(catalogue, damaged), path=str(source))
    return Report(path=str(final), blobs=number, bytes=size)


def _copy_catalogue(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        try:
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
            verdict = new.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise StateError(f"the catalogue is damaged: {error}", path=str(source)) from error
    if verdict != "ok":
        raise StateError(f"the catalogue is damaged: {verdict}", path=str(source))
    sync(target)


def _copy_place(
    source: Path, target: Path, place: str, rows: Iterable[Row]
) -> Iterator[tuple[bytes, int, bool]]:
    """Copy the bodies of one pack or file to the same offsets; digest, size, whether it is good."""
    if not _PLACE.fullmatch(place):
        raise StateError(f"the catalogue names a place that cannot be: {place!r}", path=str(source))
    (target / place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    out = os.open(target / place, flags | os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            body = os.open(source / place, flags | os.O_RDONLY)
        except OSError:
            yield from ((digest, size, False) for digest, size, _, _ in rows)
            return
        try:
            for digest, size, _, offset in rows:
                yield digest, size, _copy_body(body, out, offset, size) == digest
        finally:
            os.close(body)
        os.fsync(out)
    finally:
        os.close(out)


def _copy_body(source: int, target: int, offset: int, size: int) -> bytes:
    sum = sha256()
    while size > 0:
        chunk = os.pread(source, min(CHUNK, size), offset)
        if not chunk:
            break
        sum.update(chunk)
        write_each(target, [chunk], offset)
        offset += len(chunk)
        size -= len(chunk)
    return sum.digest() if size == 0 else b""


def _complaint(catalogue: sqlite3.Connection, damaged: list[bytes]) -> str:
    """Which items the damaged blobs belong to, for those who have to decide what to do."""
    keys = [
        f"{folder}/{name}"
        for digest in damaged[:5]
        for folder, name in catalogue.execute(
            "SELECT folder, name FROM items WHERE digest = ? LIMIT 1", (digest,)
        )
    ]
    return f"the bytes of {len(damaged)} blobs are damaged or gone, for example of {keys}"


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    sync(path)
