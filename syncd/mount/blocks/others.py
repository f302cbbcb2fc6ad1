"""The caches of other mounts, which lie beside ours: what they hold need not be fetched.

Only read, only where this user owns them, and believed only after the checksum was found right:
other programs write there, make room and throw away at any time. What is found goes into our own
cache, once `fetcher` has held it against its digest.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

from syncd.mount.blocks.cache import good
from syncd.mount.blocks.folder import segment_file
from syncd.mount.blocks.index import FILE, Index

LOOK_SECONDS = 5.0
"""How often new ones are looked for."""
CLOSED = float("inf")


class Others:
    """The caches beside the one in `folder`; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[Path, Index] = {}
        self._looked = -LOOK_SECONDS

    def find(self, name: str, block: int) -> bytes | None:
        """A block that one of them holds."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._look()
        found = (self._read(folder, name, block) for folder in list(self._open))
        return next((data for data in found if data is not None), None)

    def close(self) -> None:
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()
            self._looked = CLOSED

    def _look(self) -> None:
        found = self._folder.parent.glob(f"*/{FILE}")
        with self._lock:
            if self._looked == CLOSED:
                return
            self._looked = time.monotonic()
            for file in found:
                if file.parent not in (self._folder, *self._open) and _own(file.parent):
                    with suppress(sqlite3.Error):
                        self._open[file.parent] = Index.read_only(file)

    def _read(self, folder: Path, name: str, block: int) -> bytes | None:
        with self._lock:
            try:
                place = self._open[folder].find(bytes.fromhex(name), block)
            except (KeyError, sqlite3.Error):  # closed, or begun anew
                if index := self._open.pop(folder, None):
                    index.close()
                return None
        if place is None:
            return None
        try:
            with segment_file(folder, place.segment).open("rb", buffering=0) as segment:
                segment.seek(place.offset)
                data = segment.read(place.length)
        except OSError:  # given up meanwhile
            return None
        return data if good(name, block, data, place.sum) else None


def _own(folder: Path) -> bool:
    """Whether it is this user's, so that nobody else can have put anything into it."""
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:  # it went just now
        return False
