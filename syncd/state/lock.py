"""One writer per folder: a file lock that names its holder. A hub has one of its own kind."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from syncd.errors import BusyError, StateError

LOCKS = Path("/proc/locks")
WHOLE_BYTES = 3_500
"""The kernel gives a page of its list at a time, at least 4 KiB, and what is given back between two
pages has it leave out a lock that is held: only a shorter list is whole for certain."""
LOOKS, LOOK_AGAIN_S = 5, 0.001


class FolderLock:
    """Holds `folder/lock` until closed; the kernel lets go of it when the holder dies."""

    def __init__(self, folder: Path, *, what: str) -> None:
        """Raises BusyError naming the holder's pid, StateError where the lock cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(folder, error) from error
        if not _taken(self._fd):
            pid = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise BusyError(f"another instance (pid {pid}) already has {what}")
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            self.close()
            raise _unwritable(folder, error) from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _unwritable(folder: Path, error: OSError) -> StateError:
    return StateError(
        f"cannot be written: {error.strerror}",
        path=str(folder),
        hint="free space, mend its rights or set XDG_STATE_HOME to another place",
    )


def _taken(fd: int) -> bool:
    # A few tries: whoever has it may be about to end.
    for pause in (0.02, 0.05, 0.1, 0.0):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(pause)
    return False


def holder(folder: Path) -> int | None:
    """The pid that holds the folder's lock now, or None.

    Asked of the kernel's list, for trying the lock would keep it from somebody for a moment.
    """
    try:
        for _ in range(LOOKS):
            pid, sure = _look(folder / "lock")
            if pid is not None or sure:
                return pid
            time.sleep(LOOK_AGAIN_S)
    except OSError:
        pass  # nobody ever had it, or nobody can tell
    return None


def _look(lock: Path) -> tuple[int | None, bool]:
    """The holder's pid, or None and whether that is proof that there is none."""
    pid, inode = lock.read_text(errors="replace").strip(), lock.stat().st_ino
    listed = LOCKS.read_text()
    rows = [line.split() for line in listed.splitlines() if " FLOCK " in line]
    pids = [row[-4] for row in rows if row[-3].endswith(f":{inode}")]
    if pid in pids:
        return int(pid), True
    # Where others are listed, somebody may have it, and be about to write its pid.
    return None, not pids and len(listed) < WHOLE_BYTES
