"""The whole dataset into a folder: resumable, verified, and never over something else.

A file is written beside its place and renamed when its digest was found right, so what has its
name is whole. A file that is there with the right digest is kept; one with another is left
alone and reported.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from syncd.engine.report import Failure, Report
from syncd.errors import ConflictError, GarbledError, SyncdError, UnreadableError
from syncd.local.inside import inside
from syncd.model import Item
from syncd.remotes.base import Dataset

PARTIAL = ".syncd-part"
AHEAD = 64


def _unheard(item: Item, size: int) -> None:
    del item, size


def pull(
    dataset: Dataset, folder: Path, told: Callable[[Item, int], None] = _unheard
) -> Report:
    """Bring every item into `folder`; `told` hears each one with the bytes that travelled."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    attempted = fetched = size = 0
    failed: list[Failure] = []
    with ThreadPoolExecutor(dataset.traits.parallel * 2, "syncd-pull") as pool:
        items = dataset.items()
        while batch := list(islice(items, AHEAD)):
            results = pool.map(lambda item: _attempt(dataset, item, folder), batch)
            for item, result in zip(batch, results, strict=True):
                attempted += 1
                if isinstance(result, SyncdError):
                    failed.append(Failure(path=item.key, reason=result.message))
                    continue
                fetched += result is not None
                size += result or 0
                told(item, result or 0)
    return Report(
        dataset=dataset.info.name, attempted=attempted, uploaded=fetched,
        skipped=attempted - fetched - len(failed), failed=tuple(failed), bytes=size,
        seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip


def _attempt(dataset: Dataset, item: Item, folder: Path) -> int | SyncdError | None:
    try:
        return fetch(dataset, item, inside(folder, item.key))
    except SyncdError as error:
        return error
    except OSError as error:
        return UnreadableError(f"cannot be written: {error.strerror}")


def fetch(dataset: Dataset, item: Item, place: Path) -> int | None:
    """Bring one item to `place`, resuming what is there of it; the bytes that travelled, or None
    where it was there already. Raises ConflictError where something else has its name."""
    if place.is_symlink() or place.exists():
        if _digest(place) == item.digest:
            return None
        raise ConflictError("something else has this name here: move it away and pull again")
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{PARTIAL}-{item.digest}")
    sent = _download(dataset, item, part)
    os.replace(part, place)  # noqa: PTH105
    return sent


def replace_by(dataset: Dataset, item: Item, place: Path) -> None:
    """Put the item's content where something else is now; the old file is gone only then."""
    part = place.with_name(f"{PARTIAL}-{item.digest}")
    place.parent.mkdir(parents=True, exist_ok=True)
    _download(dataset, item, part)
    os.replace(part, place)  # noqa: PTH105


def _download(dataset: Dataset, item: Item, part: Path) -> int:
    have = part.stat().st_size if part.exists() else 0
    hasher = hashlib.sha256()
    with part.open("r+b" if have else "wb") as file:
        for chunk in _chunks(file.read, have):
            hasher.update(chunk)
        sent = 0
        if item.size is None or have < item.size:
            for chunk in dataset.read(item, have):
                file.write(chunk)
                hasher.update(chunk)
                sent += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if item.digest and hasher.hexdigest() != item.digest:
        part.unlink()
        raise GarbledError("what arrived is not what the remote's digest says: pull again")
    if item.modified_ns:
        os.utime(part, ns=(item.modified_ns, item.modified_ns))
    return sent


def _chunks(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (chunk := read(min(length, 1 << 20))):
        length -= len(chunk)
        yield chunk


def _digest(place: Path) -> str | None:
    if place.is_symlink() or not place.is_file():
        return None
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
