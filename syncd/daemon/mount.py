"""A mount from its start to its end: datasets, threads, signals, and the way out.

Called by `syncd mount --foreground`, in the main thread, which waits for a signal while libfuse
answers in threads of its own. Exactly one party unmounts: this one on a signal, `syncd umount` or
the kernel otherwise, and then this one only ends.
"""

from __future__ import annotations

import gc
import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from syncd.client import Client
from syncd.daemon.mount_numbers import MountNumbers
from syncd.daemon.remote import EMBEDDED
from syncd.errors import BusyError, NotFoundError, RemoteError, SyncdError
from syncd.mount import point as points
from syncd.mount.blocks.cache import BlockCache
from syncd.mount.blocks.reader import Reader
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.rows import Row
from syncd.mount.sidecars import Beside, Mode
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.base import Dataset
from syncd.state.lock import FolderLock

log = logging.getLogger(__name__)

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEEP_S = 6 * 3600
"""So long the kernel keeps what it was told; whatever changes is told it before."""
NEGATIVE_S = 1
"""So long it believes that a name is not there: nobody tells it of new names."""
GARBAGE = 200_000
"""So many new objects before garbage is looked for: the usual 700 doubled the time of listing a
folder of 100,000, where there is none."""
LOOK_S = 1.0
END_S = 5.0
DATASETS_S = 1.5
"""With --all, how often new datasets are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to mount, and how."""

    point: Path
    dataset: str | None
    """None: every dataset, a folder each."""
    create: bool = False
    cache: Path
    cache_bytes: int
    staleness_s: float = 60.0
    timeout_s: float = 30.0
    sidecars: Mode = Mode.ANNOTATED
    prefetch: str | None = None
    """A folder to fetch in the background, "/" for all."""
    uid: int
    gid: int
    mode: int = 0o444
    allow_other: bool = False
    xattrs: bool = False


class Mounting:
    """One mount point, its datasets and threads."""

    def __init__(self, client: Client, wanted: Wanted) -> None:
        """Find the datasets and fill their indexes; raises what `Client` and remotes raise."""
        from syncd.mount.operations import Look, Operations

        self._client = client
        self._wanted = wanted
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._datasets: dict[str, _Shown] = {}
        self._missed: set[str] = set()
        self._ending = threading.Event()
        self._signals = 0
        look = Look(
            uid=wanted.uid, gid=wanted.gid, file_mode=wanted.mode, folder_mode=_folder(wanted.mode)
        )
        self._operations = Operations(look, xattrs=wanted.xattrs)
        self._cache = _cache(wanted)
        self._numbers = MountNumbers(
            wanted.point, self._operations, self._cache, client.places.state
        )
        try:
            if wanted.dataset is None:
                self._add_all()
            else:
                self._add(client.remote.open(wanted.dataset, create=wanted.create), "")
        except BaseException:
            self._close()
            raise

    def run(self, say: Callable[[str], None]) -> None:
        """Mount, and return when the mount is gone again."""
        before = {number: signal.signal(number, self._told) for number in STOPPING}
        gc.freeze()
        gc.set_threshold(GARBAGE, 20, 100)
        session = threading.Thread(target=self._session, name="syncd-mount", daemon=True)
        try:
            session.start()
            self._wait_for_start(session)
            for shown in self._datasets.values():
                shown.follow(self._wanted.point, self._operations)
            watch = threading.Thread(target=self._watch, name="syncd-mount-datasets", daemon=True)
            if self._wanted.dataset is None:
                watch.start()
            self._numbers.start()
            say(f"mounted on {self._wanted.point}: {self._told_of()}")
            self._wait(session)
        finally:
            self._end(session, say)
            for number, handler in before.items():
                signal.signal(number, handler)

    # --- starting -------------------------------------------------------------------------------

    def _add(self, dataset: Dataset, name: str) -> _Shown:
        remote = self._client.name if self._client.name == EMBEDDED else self._client.remote.url
        slot = free_slot(dataset.info.id, self._operations.slots) if name else 0
        shown = _Shown(dataset, name, slot, remote, self._wanted, self._cache, self._client.revive)
        self._datasets[dataset.info.id] = shown
        try:
            shown.follower.fill()
            shown.check()
        except BaseException:
            del self._datasets[dataset.info.id]
            shown.close()
            raise
        self._operations.add(name, shown.branch())
        return shown

    def _add_all(self) -> list[_Shown]:
        """Show the datasets that are not shown yet."""
        remote, added = self._client.remote, []
        for info in [d for d in remote.datasets() if d.id not in self._datasets]:
            try:
                added.append(self._add(remote.open(info.name, create=False), info.name))
            except RemoteError as error:
                said = log.debug if info.id in self._missed else log.warning
                said("dataset not shown yet name=%s reason=%s", info.name, error)
                self._missed.add(info.id)
        return added

    def _watch(self) -> None:
        """With --all: show datasets as they are made."""
        while not self._ending.wait(DATASETS_S):
            try:
                for shown in self._add_all():
                    shown.follow(self._wanted.point, self._operations)
            except SyncdError as error:
                log.debug("datasets not listed reason=%s", error)
            except Exception:
                log.exception("datasets not listed")

    def _session(self) -> None:
        from syncd.mount.operations import Session

        wanted = self._wanted
        name = (wanted.dataset or "all datasets").translate({ord(","): "_", ord("\\"): "_"})
        options: dict[str, Any] = {
            "fsname": f"syncd:{name}", "subtype": "syncd", "use_ino": True, "kernel_cache": True,
            "attr_timeout": KEEP_S, "entry_timeout": KEEP_S, "negative_timeout": NEGATIVE_S,
            "default_permissions": True, "allow_other": wanted.allow_other,
            "max_read": 131072, "max_background": 64,
        }  # fmt: skip
        try:
            Session(self._operations, str(wanted.point), foreground=True, **options)
            self._news.put("")
        except RuntimeError:
            self._news.put("libfuse could not mount it")
        except Exception as error:
            log.exception("mount ended")
            self._news.put(f"unexpected fault: {error!r}")

    def _wait_for_start(self, session: threading.Thread) -> None:
        while not self._operations.started.wait(0.05):
            if not session.is_alive():
                reason = self._news.get() or "libfuse did not begin"
                raise SyncdError(reason, path=str(self._wanted.point), hint="see the lines above")
        self._wanted.point.stat()

    def _told_of(self) -> str:
        files, _ = self._operations.totals()
        if self._wanted.dataset is None:
            return f"{len(self._datasets)} datasets, {files} files"
        return f"dataset {self._wanted.dataset!r}, {files} files"

    # --- ending ---------------------------------------------------------------------------------

    def _wait(self, session: threading.Thread) -> None:
        """Until a signal comes or the mount is gone."""
        while session.is_alive():
            # A signal that another thread was given wakes nobody: this one looks by itself.
            with suppress(queue.Empty):
                reason = self._news.get(timeout=LOOK_S)
                if reason:
                    raise SyncdError(reason, path=str(self._wanted.point))
                return

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os._exit(128 + number)  # the next start clears the dead mount away
        self._news.put("")

    def _end(self, session: threading.Thread, say: Callable[[str], None]) -> None:
        self._ending.set()
        with suppress(OSError):  # nothing of it may keep the mount from going
            self._numbers.stop()
        for shown in list(self._datasets.values()):
            shown.stop()
        point, patience = self._wanted.point, END_S
        if session.is_alive() and points.own_at(point):
            try:
                points.detach(point, lazy=False)
            except BusyError:
                say(f"{point} is still in use: who uses it gets errors from now on")
                points.detach(point, lazy=True)
                patience = 0.2  # it ends with its last user, and that is not waited for
        session.join(patience)
        stuck = session.is_alive()
        self._close()
        if stuck:
            _leave()

    def _close(self) -> None:
        for shown in list(self._datasets.values()):
            shown.close()
        self._cache.close()


class _Shown:
    """One dataset of a mount: its index, the thread that follows it, and its reader."""

    def __init__(
        self,
        dataset: Dataset,
        name: str,
        slot: int,
        remote: str,
        wanted: Wanted,
        cache: BlockCache,
        revive: Callable[[], None],
    ) -> None:
        self._lock, folder = _own_folder(wanted.cache / "mounts", f"{remote} {dataset.info.id}")
        index = Index(folder / "index.db", f"{remote} {dataset.info.id} {wanted.sidecars}")
        self.tree = Tree(index, slot=slot)
        self._info = dataset.info
        self._name = name
        self._wanted = wanted
        self._turner = Turner(self.tree, name, self._hold)
        self.follower = Follower(
            self.tree, dataset, self._turner, Beside(dataset, wanted.sidecars),
            staleness_s=wanted.staleness_s, revive=revive,
        )  # fmt: skip
        self.reader = Reader(dataset, cache, deadline_s=wanted.timeout_s)
        self.reader.follow(self.tree.next_items)

    def branch(self) -> Any:
        from syncd.mount.operations import Branch

        files, size = self._info.items, self._info.bytes
        return Branch(tree=self.tree, reads=self.reader, files=files, bytes=size)

    def follow(self, point: Path, operations: Any) -> None:
        """The mount is there: tell the kernel what changes, and fetch ahead what was asked for."""
        self.follower.start(lambda: self._turner.attach(point, operations))
        folder = self._ahead()
        if folder is not None:
            self.reader.prefetch(self.tree.items(folder))

    def check(self) -> None:
        """Raise NotFoundError where the folder to fetch ahead is not there."""
        folder = self._ahead()
        if not folder:
            return
        try:
            self.tree.look(folder)
        except OSError as error:
            raise NotFoundError("there is no such folder", path=f"--prefetch {folder}") from error

    def _ahead(self) -> str | None:
        """The folder of this dataset to fetch ahead, "" for all of it, None for nothing."""
        wanted = self._wanted.prefetch
        folder = wanted.strip("/") if wanted is not None else None
        if folder and self._name:
            first, _, folder = folder.partition("/")
            return folder if first == self._name else None
        return folder

    def _hold(self, row: Row) -> None:
        if row.content is None:  # a sidecar lies in the index
            self.reader.hold(self.tree.item(row))

    def stop(self) -> None:
        """Whoever waits for bytes gets an error now."""
        self.follower.stop()
        self.reader.close()

    def close(self) -> None:
        self.reader.close()
        if self.follower.join(END_S):
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


def _cache(wanted: Wanted) -> BlockCache:
    """The block cache; where another mount has it, one of our own."""
    for number in count(1):
        folder = wanted.cache / ("blocks" if number == 1 else f"blocks-{number}")
        with suppress(BusyError):
            return BlockCache(folder, wanted.cache_bytes)
    raise AssertionError


def _folder(mode: int) -> int:
    """The mode of folders that fits a mode of files: who may read may enter. Their owner may
    write, as far as the kernel is concerned: changes are told to it that way."""
    return mode | (mode & 0o444) >> 2 | 0o700


def _leave() -> NoReturn:
    """End although somebody still holds the mount: the kernel answers them from now on."""
    logging.shutdown()
    os._exit(0)
