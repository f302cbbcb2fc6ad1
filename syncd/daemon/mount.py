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
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from types import FrameType
from typing import Any, NoReturn

from syncd.daemon.mount_numbers import MountNumbers
from syncd.daemon.mount_shown import END_S, Shown, free_slot
from syncd.daemon.mount_wanted import Reached, Wanted, asked, found
from syncd.errors import BusyError, NotFoundError, RemoteError, SyncdError, UsageError
from syncd.mount import point as points
from syncd.mount.blocks.cache import BlockCache
from syncd.mount.looks import Looks
from syncd.remotes.base import DatasetInfo

log = logging.getLogger(__name__)

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
KEEP_S = 6 * 3600
"""So long the kernel keeps what it was told; whatever changes is told it before."""
NEGATIVE_S = 1
"""So long it believes that a name is not there: nobody tells it of new names."""
GARBAGE = 200_000
"""So many new objects before garbage is looked for: the usual 700 doubled the time of listing a
folder of 100,000, where there is none. The main thread looks, as others have no descriptors of
ours: what ends in them would not be closed."""
FORMER = 4
"""Of so many datasets whose names others have by now, what somebody holds can still be read."""
OLDEST = 100
"""Every so many times it is looked for among the oldest objects too."""
NO_RIGHT = "the lines above say why; in a container it needs the right to mount"
TWICE_S = 1.0
"""A signal again within it is the same wish: a terminal tells a whole group, as a parent does."""
CATCH_UP_S = 1.0
"""So long a start takes in what changed since the last one, before anybody can look."""
LOOK_S = 1.0
DATASETS_S = 1.5
"""With --all, how often new datasets are looked for."""


class Mounting:
    """One mount point, its datasets and threads."""

    def __init__(self, client: Reached, wanted: Wanted) -> None:
        """Find the datasets and fill their indexes; raises what remotes raise, but not where all
        that is wanted was filled before and the remote is only away."""
        from syncd.mount.operations import Look, Operations

        self._client = client
        self._wanted = wanted
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._datasets: dict[str, Shown] = {}
        self._former: list[Shown] = []
        """Those whose names others have by now: somebody may hold their files."""
        self._missed: set[str] = set()
        self._until = 0.0
        self._ending = threading.Event()
        self._told_at: float | None = None
        self._device = 0
        look = Look(
            uid=wanted.uid, gid=wanted.gid, file_mode=wanted.mode, folder_mode=_folder(wanted.mode)
        )
        self._looks = Looks(wanted.point)
        self._operations = Operations(look, xattrs=wanted.xattrs)
        self._operations.seen = self._looks.add
        self._cache = _cache(wanted)
        self._numbers = MountNumbers(
            wanted.point, self._operations, self._cache, client.places.state
        )
        try:
            there, self._heard = found(client, wanted)
            self._until = time.monotonic() + CATCH_UP_S if self._heard else 0.0
            if wanted.dataset is None:
                self._add_all(there)
            else:
                self._add(there[0], "")
            self._check_ahead()
        except BaseException:
            self._close()
            raise

    def run(self, say: Callable[[str], None]) -> None:
        """Mount, and return when the mount is gone again."""
        before = {number: signal.signal(number, self._told) for number in STOPPING}
        gc.freeze()
        gc.disable()
        session = threading.Thread(target=self._session, name="syncd-mount", daemon=True)
        try:
            session.start()
            self._wait_for_start(session)
            self._looks.start()
            for shown in self._datasets.values():
                shown.follow(self._wanted.point, self._operations)
            watch = threading.Thread(target=self._watch, name="syncd-mount-datasets", daemon=True)
            watch.start()
            self._numbers.start()
            say(f"mounted on {self._wanted.point}: {self._told_of()}")
            self._wait(session)
        finally:
            self._end(session, say)
            for number, handler in before.items():
                signal.signal(number, handler)

    # --- starting -------------------------------------------------------------------------------

    def _add(self, info: DatasetInfo, name: str) -> Shown:
        slots = self._operations.slots
        slot = free_slot(info.id, slots) if name or slots else 0
        shown = Shown(self._client, info, name, slot, self._wanted, self._cache)
        self._datasets[info.id] = shown
        try:
            shown.fill(self._until)
        except BaseException:
            del self._datasets[info.id]
            shown.close(time.monotonic() + END_S)
            raise
        for former in [one for one in self._datasets.values() if one.name == name]:
            if former is not shown:
                self._give_up(former)
        self._operations.add(name, shown.branch())
        return shown

    def _give_up(self, former: Shown) -> None:
        """Show nothing of a dataset whose name another one has by now, as after a restore."""
        log.warning("another dataset has this name by now, and is shown name=%s", former.info.name)
        former.follower.retire()
        del self._datasets[former.info.id]
        self._former.append(former)
        while len(self._former) > FORMER:
            oldest = self._former.pop(0)
            self._operations.slots.pop(oldest.tree.slot >> 40, None)
            oldest.close(time.monotonic() + END_S)

    def _check_ahead(self) -> None:
        """Tell where there is nothing to fetch ahead: NotFoundError, but of datasets to come."""
        folder = (self._wanted.prefetch or "").strip("/")
        if not folder or any(one.ahead() is not None for one in self._datasets.values()):
            return
        if self._wanted.dataset is not None:
            raise NotFoundError("there is no such folder", path=f"--prefetch {folder}")
        log.warning("nothing is fetched ahead, no dataset has the folder prefetch=%s", folder)

    def _add_all(self, there: Iterable[DatasetInfo]) -> list[Shown]:
        """Show those datasets that are not shown yet."""
        added = []
        for info in [info for info in there if info.id not in self._datasets]:
            try:
                added.append(self._add(info, info.name if self._wanted.dataset is None else ""))
            except RemoteError as error:
                said = log.debug if info.id in self._missed else log.warning
                said("dataset not shown yet name=%s reason=%s", info.name, error)
                self._missed.add(info.id)
        return added

    def _watch(self) -> None:
        """Show datasets as they are made: with --all any, else one that has the name by now."""
        wanted = replace(self._wanted, create=False)
        while not self._ending.wait(DATASETS_S):
            try:
                gone = any(shown.follower.gone for shown in self._datasets.values())
                if wanted.dataset is None or gone:
                    for shown in self._add_all(asked(self._client, wanted)):
                        shown.follow(wanted.point, self._operations)
            except SyncdError as error:
                log.debug("datasets not listed reason=%s", error)
            except Exception:
                if not self._ending.is_set():  # else the connection was closed under the question
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
                raise SyncdError(reason, path=str(self._wanted.point), hint=NO_RIGHT)
        self._device = points.device_at(self._wanted.point)

    def _told_of(self) -> str:
        files, _ = self._operations.totals()
        several = f"{len(self._datasets)} datasets"
        what = several if self._wanted.dataset is None else f"dataset {self._wanted.dataset!r}"
        away = "" if self._heard else ", as it was before: the remote is away"
        return f"{what}, {files} files{away}"

    # --- ending ---------------------------------------------------------------------------------

    def _wait(self, session: threading.Thread) -> None:
        """Until a signal comes or the mount is gone."""
        rounds = count(1)
        while session.is_alive():
            # A signal that another thread was given wakes nobody: this one looks by itself.
            with suppress(queue.Empty):
                reason = self._news.get(timeout=LOOK_S)
                if reason:
                    raise SyncdError(reason, path=str(self._wanted.point))
                return
            if gc.get_count()[0] > GARBAGE:
                gc.collect(2 if next(rounds) % OLDEST == 0 else 1)

    def _told(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._told_at is not None and now - self._told_at > TWICE_S:
            os._exit(128 + number)  # the next start clears the dead mount away
        self._told_at = self._told_at or now
        self._news.put("")

    def _end(self, session: threading.Thread, say: Callable[[str], None]) -> None:
        self._ending.set()
        self._looks.stop()
        with suppress(OSError):  # nothing of it may keep the mount from going
            self._numbers.stop()
        for shown in [*self._datasets.values(), *self._former]:
            shown.stop()
        try:
            session.join(self._detach(say) if session.is_alive() else 0.0)
        except SyncdError as error:
            say(f"it could not be unmounted, and ends with this program: {error}")
            self._leave(1)
        if session.is_alive():
            self._leave(0)
        self._close()

    def _detach(self, say: Callable[[str], None]) -> float:
        """Unmount; returns for how many seconds libfuse may be waited for."""
        point = points.now_at(self._device)
        if point is None:
            return END_S
        try:
            points.detach(point, lazy=False)
        except BusyError:
            say(f"{point} is still in use: who uses it gets errors from now on")
            points.detach(point, lazy=True)
            return 0.2  # it ends with its last user, and that is not waited for
        return END_S

    def _leave(self, status: int) -> NoReturn:
        """End although somebody still holds the mount: the kernel answers them from now on. Up to
        then libfuse asks, so nothing is closed but the cache, which bears questions after that."""
        self._cache.close()
        logging.shutdown()
        os._exit(status)

    def _close(self) -> None:
        until = time.monotonic() + END_S
        for shown in [*self._datasets.values(), *self._former]:
            shown.close(until)
        self._cache.close()


def _cache(wanted: Wanted) -> BlockCache:
    """The block cache; where another mount has it, one of our own."""
    for number in count(1):
        folder = wanted.cache / ("blocks" if number == 1 else f"blocks-{number}")
        try:
            return BlockCache(folder, wanted.cache_bytes)
        except BusyError:
            continue
        except OSError as error:
            reason = f"cannot hold the cache: {error.strerror}"
            hint = "name another --cache-dir"
            raise UsageError(reason, path=str(wanted.cache), hint=hint) from error
    raise AssertionError


def _folder(mode: int) -> int:
    """The mode of folders that fits a mode of files: who may read may enter. Their owner may
    write, as far as the kernel is concerned: changes are told to it that way."""
    return mode | (mode & 0o444) >> 2 | 0o700
