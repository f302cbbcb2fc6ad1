"""One dataset of a mount: its index, the thread that follows it, and its reader.

Made and ended by `daemon/mount`. The folder of the index is held against other mounts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Container
from contextlib import ExitStack, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from syncd.daemon.mount_wanted import Reached, Wanted
from syncd.errors import BusyError, SyncdError
from syncd.mount.blocks.cache import BlockCache
from syncd.mount.blocks.reader import Reader
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.names import Rank
from syncd.mount.remembered import binding, remember
from syncd.mount.rows import Row
from syncd.mount.sidecars import Beside
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.base import DatasetInfo, Feeds
from syncd.state.lock import FolderLock

log = logging.getLogger(__name__)

END_S = 3.0
"""So long the end waits for all that is under way."""


class Shown:
    """One dataset of a mount: its index, the thread that follows it, and its reader."""

    def __init__(
        self,
        client: Reached,
        info: DatasetInfo,
        name: str,
        slot: int,
        wanted: Wanted,
        cache: BlockCache,
    ) -> None:
        """Open its index, in a folder of `name` below the mount point or at that itself."""
        remote, dataset = client.address, client.remote.bind(info)
        self._dataset = dataset
        with ExitStack() as begun:  # a failure leaves no folder held: it is tried again
            self._lock, folder = _own_folder(wanted.cache / "mounts", f"{remote} {info.id}")
            begun.callback(self._lock.close)
            index = Index(folder / "index.db", binding(remote, info.id, wanted.sidecars))
            begun.callback(index.close)
            self.reader = Reader(dataset, cache, deadline_s=wanted.timeout_s)
            begun.pop_all()
        self.tree = Tree(index, slot=slot)
        self.info = info
        self.name = name
        self._wanted = wanted
        self._turner = Turner(self.tree, name, self._hold)
        self.follower = Follower(
            self.tree, dataset, self._turner, Beside(dataset, wanted.sidecars),
            staleness_s=wanted.staleness_s, revive=client.revive,
        )  # fmt: skip
        self.reader.follow(self.tree.next_items, lambda: self.tree.items(""))

    def fill(self, until: float) -> None:
        """Have the index whole, as fresh as can be had up to this moment of the clock, and known
        to a start without the remote; raises RemoteError."""
        self.follower.fill()
        remember(self.tree.index, self.info)
        self._catch_up(until)

    def _catch_up(self, until: float) -> None:
        """Hear what changed since the last run before anybody looks; what does not come in time
        is heard later, and so is all of a remote without a feed."""
        before = None
        try:
            while isinstance(self._dataset, Feeds) and time.monotonic() < until:
                self.follower.hear(0.0)
                if before == (before := self.tree.index.word("cursor")):
                    return
        except SyncdError as error:
            log.debug("not caught up dataset=%s reason=%s", self.info.name, error)

    def branch(self) -> Any:
        from syncd.mount.operations import Branch

        files, size = self.info.items, self.info.bytes
        return Branch(tree=self.tree, reads=self.reader, files=files, bytes=size)

    def follow(self, point: Path, operations: Any) -> None:
        """The mount is there: tell the kernel what changes, and fetch ahead what was asked for."""
        self.follower.start(lambda: self._turner.attach(point, operations))
        folder = self.ahead()
        if folder is not None:
            self.reader.prefetch(self.tree.items(folder))

    def ahead(self) -> str | None:
        """The folder of this dataset to fetch ahead, "" for all of it, None where it has none."""
        wanted = self._wanted.prefetch
        folder = wanted.strip("/") if wanted is not None else None
        if folder and self.name:
            first, _, folder = folder.partition("/")
            folder = folder if first == self.name else None
        return folder if not folder or self._has(folder) else None

    def _has(self, folder: str) -> bool:
        try:
            return self.tree.look(folder).rank == Rank.FOLDER
        except OSError:
            return False

    def _hold(self, row: Row) -> None:
        if row.content is None:  # a sidecar lies in the index
            self.reader.hold(self.tree.item(row))

    def stop(self) -> None:
        """Whoever waits for bytes gets an error now."""
        self.follower.stop()
        self.reader.stop()

    def close(self, until: float) -> None:
        """End, and wait at most until then for what is under way at the remote."""
        self.stop()
        self.reader.close(max(0.0, until - time.monotonic()))
        if self.follower.join(max(0.0, until - time.monotonic())):
            with self.tree.lock:  # who asks later gets an error
                self.tree.index.close()
        self._lock.close()


def free_slot(id: str, taken: Container[int]) -> int:
    """Twenty bits that tell a dataset's inode numbers from those of the others shown; the same
    at the next start, but for two that want the same. 0 is the mount's own."""
    slot = int(sha256(id.encode()).hexdigest()[:5], 16)
    while slot == 0 or slot in taken:
        slot = (slot + 1) % (1 << 20)
    return slot


def _own_folder(above: Path, name: str) -> tuple[FolderLock, Path]:
    """A folder for an index; another mount of the same dataset has its own."""
    word = sha256(name.encode()).hexdigest()[:16]
    for number in count(1):
        folder = above / (word if number == 1 else f"{word}-{number}")
        with suppress(BusyError):
            return FolderLock(folder, what="this mount's index"), folder
    raise AssertionError
