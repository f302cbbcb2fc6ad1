"""The block cache: bytes by content, on disk, within a bound, kept over restarts.

Content is named by its digest, so datasets share it. Blocks are appended to a few dozen segment
files and found through `index`; the least recently used segment is given up whole. A folder has
one owner, who holds its lock. Nothing is synced: a block that this run did not write is served
only after its checksum was found right. A full disk is no error: what cannot be stored is kept in
a little memory.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TypeVar
from zlib import crc32

from syncd.mount.blocks.folder import Owner, opened, segment_file
from syncd.mount.blocks.index import Place, Row
from syncd.mount.blocks.segment import Segment

log = logging.getLogger(__name__)
T = TypeVar("T")
BLOCK = 1 << 20
"""Bytes of one block; a file up to this size is one block, and checked against its digest."""
SEGMENTS = 64
KNOWN = 65_536
"""Places kept in memory: those whose bytes were found right in this run."""
DIGESTED = -1
"""In the place of a checksum: the name is one."""
SPARE_BYTES = 32 * BLOCK
FLUSH_ROWS, FLUSH_SECONDS = 256, 1.0
SULK_SECONDS = 5.0
"""After a failed write: how long nothing more is written."""

Entry = tuple[str, int, bytes | memoryview]
"""A content's name (its digest in hex), the block's number, and its bytes."""


class BlockCache:
    """Blocks in `folder`, at most `max_bytes` of them; safe to share between threads.

    Raises BusyError where another one, in this or another program, owns the folder.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._segment_bytes = max(max_bytes // SEGMENTS, 1)
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], tuple[Segment, int, int]] = {}
        self._fresh: list[Row] = []
        self._void: set[str] = set()
        """Names to drop from the index, which says nothing of them until it could be done."""
        self._flushed = 0.0
        self._sulking = 0.0
        self._spare: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._pins: dict[str, int] = {}
        self._carried: list[Entry] = []
        self._closed = False
        self._owner: Owner | None = Owner(folder)
        self._index, self._segments = opened(folder, self._owner)
        self.bytes = sum(segment.end for segment in self._segments.values())
        self._tail = max(self._segments.values(), key=lambda s: s.number, default=None)
        self._all_known = not self._segments
        """Whether `_known` is all there is, as in a first run: then the index need not be asked."""

    def close(self) -> None:
        """Write down what is not yet, and let go of the folder, as does who still writes to it."""
        with self._lock:
            if self._closed:
                return
            self._flush()
            self._closed = True
            for segment in self._segments.values():
                segment.remember()
            self._index.close()
            self._known.clear()
            self._segments.clear()
            self._tail = None
            self._owner = None

    # --- reading --------------------------------------------------------------------------------

    def read(self, name: str, block: int, offset: int, size: int) -> bytes | None:
        """Up to `size` bytes of a block from `offset` in it, or None where it is not held."""
        place = self._known.get((name, block)) or self._recall(name, block)
        if place is None:
            spare = self._spare.get((name, block))
            return spare[offset : offset + size] if spare is not None else None
        segment, at, length = place
        segment.used = time.time()
        wanted = min(size, length - offset)
        if wanted <= 0:
            return b""
        data = segment.read(at + offset, wanted)
        if len(data) == wanted:
            return data
        self.forget(name)
        return None

    def has(self, name: str, block: int) -> bool:
        """Whether a block is held, as far as the index knows."""
        key = (name, block)
        return key in self._known or key in self._spare or self._find(name, block) is not None

    def blocks(self, name: str) -> set[int]:
        """The blocks of a content that are held."""
        with self._lock:
            self._flush()
            return self._asked(self._index.blocks, name) or set()

    def _find(self, name: str, block: int) -> Place | None:
        if self._all_known:
            return None
        with self._lock:
            return self._asked(self._index.find, name, block)

    def _recall(self, name: str, block: int) -> tuple[Segment, int, int] | None:
        """Look a block up that this run has not seen yet, and check what lies there."""
        place = self._find(name, block)
        segment = self._segments.get(place.segment) if place else None
        if place is None or segment is None:
            return None
        data = segment.read(place.offset, place.length)
        if len(data) != place.length or not good(name, block, data, place.sum):
            log.warning("a block of the cache was damaged and is fetched again")
            self.forget(name)
            return None
        found = (segment, place.offset, place.length)
        with self._lock:
            # Given up meanwhile, or forgotten as what the checksum cannot tell to be wrong?
            if self._asked(self._index.find, name, block) != place:
                return None
            self._know(name, block, found)
        return found

    # --- writing --------------------------------------------------------------------------------

    def put(self, name: str, block: int, data: bytes) -> None:
        self.put_all([(name, block, data)])

    def put_all(self, entries: Sequence[Entry], *, digested: bool = False) -> None:
        """Store blocks, in one write. Who calls vouches for the bytes; where they are `digested`,
        each name is the digest of these very bytes, and no other checksum is needed."""
        pieces = [data for _, _, data in entries]
        with self._lock:
            room = (
                self._reserve(sum(map(len, pieces))) if time.monotonic() >= self._sulking else None
            )
            carried, self._carried = self._carried, []
        if carried:
            self.put_all(carried)
        if room is None or not self._written(*room, pieces):
            self._keep_spare(entries)
            return
        segment, at = room
        segment.used = time.time()
        rows = [
            (name, block, len(data), DIGESTED if digested else _sum(name, block, data))
            for name, block, data in entries
        ]
        with self._lock:
            if self._has(segment):
                self._record(segment, at, rows)
            else:  # room was made meanwhile, with all that was in it
                self._carried += [entry for entry in entries if entry[0] in self._pins]

    def flush(self) -> None:
        """Write down which blocks came since the last time: only those survive a kill."""
        with self._lock:
            self._flush()

    def forget(self, name: str) -> None:
        """Drop every block of a content."""
        with self._lock:
            self._flush()
            self._known = {key: place for key, place in self._known.items() if key[0] != name}
            self._spare = OrderedDict(
                (key, data) for key, data in self._spare.items() if key[0] != name
            )
            self._void.add(name)
            self._flush()

    def pin(self, name: str) -> None:
        """Keep what is held of a content when room is made, until `unpin`; counted."""
        with self._lock:
            self._pins[name] = self._pins.get(name, 0) + 1

    def unpin(self, name: str) -> None:
        with self._lock:
            left = self._pins.pop(name, 0) - 1
            if left > 0:
                self._pins[name] = left

    def whole(self, name: str) -> bool:
        """Whether a content of several blocks was checked against its digest."""
        with self._lock:
            return bool(self._asked(self._index.whole, name))

    def mark_whole(self, name: str, count: int) -> None:
        """All `count` blocks were checked together; not if one was given up meanwhile, for another
        one will come in its place."""
        with self._lock:
            self._flush()
            if len(self._asked(self._index.blocks, name) or ()) == count:
                self._asked(self._index.mark_whole, name)

    def _written(self, segment: Segment, at: int, pieces: Sequence[bytes | memoryview]) -> bool:
        try:
            segment.write(at, pieces)
        except OSError as error:
            log.warning("the cache cannot be written to (%s): reading goes on without", str(error))
            with self._lock:
                self._sulking = time.monotonic() + SULK_SECONDS
                length = sum(map(len, pieces))
                if self._has(segment) and segment.end == at + length:
                    segment.end = at
                    self.bytes -= length
            return False
        return True

    def _keep_spare(self, entries: Sequence[Entry]) -> None:
        with self._lock:
            for name, block, data in entries:
                self._spare[name, block] = bytes(data)
            total = sum(len(data) for data in self._spare.values())
            while total > SPARE_BYTES and len(self._spare) > 1:
                total -= len(self._spare.popitem(last=False)[1])

    # --- under the lock -------------------------------------------------------------------------

    def _has(self, segment: Segment) -> bool:
        """Whether it was not given up while nobody held the lock."""
        return self._segments.get(segment.number) is segment

    def _record(self, segment: Segment, at: int, rows: Sequence[tuple[str, int, int, int]]) -> None:
        """What was just written there: name, block, length and checksum of each, back to back."""
        for name, block, length, total in rows:
            self._know(name, block, (segment, at, length))
            self._fresh.append((bytes.fromhex(name), block, segment.number, at, length, total))
            at += length
        late = time.monotonic() - self._flushed > FLUSH_SECONDS
        if late or len(self._fresh) >= FLUSH_ROWS:
            self._flush()

    def _know(self, name: str, block: int, place: tuple[Segment, int, int]) -> None:
        if len(self._known) >= KNOWN:
            self._flush()
            self._all_known = False
            for key in list(islice(self._known, KNOWN // 2)):
                del self._known[key]
        self._known[name, block] = place

    def _asked(self, call: Callable[..., T], name: str, *more: int) -> T | None:
        """What the index says of a content; nothing, where it is in trouble."""
        try:
            mute = self._closed or name in self._void
            return None if mute else call(bytes.fromhex(name), *more)
        except sqlite3.Error as error:
            self._complain(error)
            return None

    def _flush(self) -> None:
        rows, self._fresh = self._fresh, []
        self._flushed = time.monotonic()
        if (rows or self._void) and not self._closed:
            try:
                for name in list(self._void):
                    self._index.drop(bytes.fromhex(name))
                    self._void.discard(name)
                self._index.add(rows)
            except sqlite3.Error as error:
                self._complain(error)

    def _reserve(self, length: int) -> tuple[Segment, int] | None:
        """Room at the end of the newest segment; None where there can be none."""
        if length > self.max_bytes or self._closed:
            return None
        try:
            if self._tail is None or self._tail.end >= self._segment_bytes:
                self._tail = self._start()
            while self.bytes + length > self.max_bytes:
                self._evict()
        except (OSError, sqlite3.Error) as error:
            self._complain(error)
            return None
        segment = self._tail
        at = segment.end
        segment.end += length
        self.bytes += length
        return segment, at

    def _start(self) -> Segment:
        number = max(self._segments, default=0) + 1
        self._index.add_segment(number)
        segment = Segment(segment_file(self.folder, number), self._owner)
        self._segments[number] = segment
        return segment

    def _evict(self) -> None:
        """Give up the segment that was not used for the longest time."""
        others = [s for s in self._segments.values() if s is not self._tail]
        if not others:  # it is the one that is written to: write to another
            others = list(self._segments.values())
            self._tail = self._start()
        victim = min(others, key=lambda s: s.used)
        self._flush()
        self._carry(victim)
        self._index.drop_segment(victim.number)
        victim.path.unlink(missing_ok=True)
        del self._segments[victim.number]
        self.bytes -= victim.end
        self._known = {k: place for k, place in self._known.items() if place[0] is not victim}

    def _carry(self, victim: Segment) -> None:
        """Keep what is pinned of a segment that goes, as long as that is little."""
        pinned = {bytes.fromhex(name): name for name in self._pins}
        room = self._segment_bytes // 2
        for raw, block, place in self._index.within(victim.number, list(pinned)):
            room -= place.length
            if room < 0:
                return
            data, name = victim.read(place.offset, place.length), pinned[raw]
            if good(name, block, data, place.sum):
                self._carried.append((name, block, data))

    def _complain(self, error: Exception) -> None:
        log.warning("the cache in %s is in trouble: %s", self.folder, str(error))
        self._sulking = time.monotonic() + SULK_SECONDS


def good(name: str, block: int, data: bytes, total: int) -> bool:
    """Whether these are the bytes that the index said had this checksum."""
    if total == DIGESTED:
        return sha256(data).hexdigest() == name
    return _sum(name, block, data) == total


def _sum(name: str, block: int, data: bytes | memoryview) -> int:
    """Of the bytes and of whose they are: a row cannot lead to those of another block."""
    return crc32(data, crc32(name.encode(), block & 0xFFFFFFFF))
