"""The whole dataset into a folder: resumable, verified, and never over something else.

A file is written beside its place and renamed when its digest was found right, so what has its
name is whole. A file that is there with the right digest is kept; one with another is left
alone and reported.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from syncd.engine.report import Failure, Report, Tally
from syncd.errors import (
    ConflictError,
    DamagedError,
    DeniedError,
    NotFoundError,
    SyncdError,
    TransientError,
    UnreadableError,
    UsageError,
)
from syncd.local.inside import inside
from syncd.model import Item
from syncd.remotes.base import Dataset, Finds

PARTIAL = ".syncd-part"
AHEAD = 64


def pull(dataset: Dataset, folder: Path, watcher: Callable[[Tally], None] | None = None) -> Report:
    """Bring every item into `folder`; `watcher` hears the tally at first and after each."""
    began = time.monotonic()
    if folder.exists() and not folder.is_dir():
        raise UsageError("is not a folder", path=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    arrived = Arrived()
    tally = Tally(
        scanning=False, files=dataset.info.items, expected=dataset.info.bytes,
        leaving=lambda: arrived.bytes,
    )  # fmt: skip
    watcher = watcher or (lambda tally: None)
    watcher(tally)
    failed: list[Failure] = []
    away: str | None = None
    with ThreadPoolExecutor(dataset.traits.parallel * 2, "syncd-pull") as pool:
        items = dataset.items()
        while away is None and (batch := list(islice(items, AHEAD))):
            results = []
            for item, result in zip(
                batch, pool.map(lambda item: _attempt(dataset, item, folder, arrived), batch),
                strict=True,
            ):  # fmt: skip
                results.append(result)
                tally.done += 1
                if isinstance(result, SyncdError):
                    failed.append(Failure(path=item.key, reason=result.message))
                else:
                    tally.uploaded += result is not None
                    tally.bytes += result or 0
                if result is None and tally.expected:
                    tally.expected -= item.size or 0
                watcher(tally)
            away = _away(results)
    return Report(
        dataset=dataset.info.name, attempted=tally.done, uploaded=tally.uploaded,
        skipped=tally.done - tally.uploaded - len(failed), failed=tuple(failed),
        bytes=tally.bytes, seconds=round(time.monotonic() - began, 3), away=away,
    )  # fmt: skip


def _away(results: Sequence[object]) -> str | None:
    """Why nothing at all could be had: then the rest is not asked for."""
    errors = [r for r in results if isinstance(r, TransientError) and not r.answered]
    return errors[0].message if len(errors) == len(results) else None


def get(dataset: Dataset, key: str, output: Path | None) -> Path:
    """Bring one item to `output`, or to its own name here; `-` writes it to standard output.

    Raises NotFoundError; ConflictError where something else has the name.
    """
    item = next((item for item in _near(dataset, key) if item.key == key), None)
    if item is None:
        raise NotFoundError(f"{dataset.info.name} holds no such file", path=key)
    if str(output) == "-":
        _print(dataset, item)
        return Path("-")
    place = output or Path(key.rpartition("/")[2])
    if place.is_dir():
        place /= item.key.rpartition("/")[2]
    if not place.parent.is_dir():
        raise NotFoundError("there is no such folder", path=str(place.parent))
    try:
        fetch(dataset, item, place, Arrived())
    except ConflictError as error:
        error.path, error.hint = str(place), "-o FILE writes it elsewhere"
        raise
    return place


def _near(dataset: Dataset, key: str) -> Iterator[Item]:
    if isinstance(dataset, Finds):
        found = dataset.find(key)
        return iter([found] if found else [])
    return dataset.items(key.rpartition("/")[0])


def _print(dataset: Dataset, item: Item) -> None:
    hasher = hashlib.sha256()
    for chunk in dataset.read(item):
        hasher.update(chunk)
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
    if item.digest and hasher.hexdigest() != item.digest:
        raise DamagedError("what arrived is not what the remote's digest says")


class Arrived:
    """Counts bytes as they come, from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes = 0

    def count(self, size: int) -> None:
        with self._lock:
            self.bytes += size


def _attempt(
    dataset: Dataset, item: Item, folder: Path, arrived: Arrived
) -> int | SyncdError | None:
    try:
        return fetch(dataset, item, inside(folder, item.key), arrived)
    except DeniedError:
        raise
    except SyncdError as error:
        return error
    except OSError as error:
        return UnreadableError(f"cannot be written: {error.strerror}")


def fetch(dataset: Dataset, item: Item, place: Path, arrived: Arrived) -> int | None:
    """Bring one item to `place`, resuming what is there of it; the bytes that travelled, or None
    where it was there already. Raises ConflictError where something else has its name."""
    if place.is_symlink() or place.exists():
        if _digest(place) == item.digest:
            return None
        raise ConflictError("something else has this name here: move it away first")
    place.parent.mkdir(parents=True, exist_ok=True)
    part = _part(item, place)
    sent = _download(dataset, item, part, arrived)
    os.replace(part, place)  # noqa: PTH105
    return sent


def bring(dataset: Dataset, item: Item, place: Path) -> None:
    """Fetch an item beside the place where something else is now; `exchange` then puts it there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    _download(dataset, item, _part(item, place), Arrived())


def exchange(item: Item, place: Path) -> None:
    """Put an item that was brought in its place; the old file is gone only then."""
    os.replace(_part(item, place), place)  # noqa: PTH105


def discard(item: Item, place: Path) -> None:
    """Forget an item that was brought and is not wanted any more."""
    _part(item, place).unlink(missing_ok=True)


def _part(item: Item, place: Path) -> Path:
    """Where an item is until it is whole: the same in every run, and no other item's, not even
    one of the same content in the same folder."""
    mark = hashlib.sha256(f"{item.id} {item.digest}".encode()).hexdigest()[:32]
    return place.with_name(f"{PARTIAL}-{mark}")


def _download(dataset: Dataset, item: Item, part: Path, arrived: Arrived) -> int:
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
                arrived.count(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if item.digest and hasher.hexdigest() != item.digest:
        part.unlink()
        if have:  # What was there already may have been something else.
            return _download(dataset, item, part, arrived)
        raise DamagedError("what arrived is not what the remote's digest says")
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
