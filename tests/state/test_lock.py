"""The lock that names its holder, and the kernel's list in which its holder is found."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading

import pytest

from syncd.errors import BusyError, StateError
from syncd.state import lock
from syncd.state.lock import WHOLE_BYTES, FolderLock, holder
from tests.local.rights import as_nobody

OTHER = "7: POSIX  ADVISORY  WRITE 1 08:01:1 0 EOF\n"
MANY = OTHER * (WHOLE_BYTES // len(OTHER) + 1)


def row(folder):
    """What the list says of a lock on the folder that is ours."""
    inode = (folder / "lock").stat().st_ino
    return f"3: FLOCK  ADVISORY  WRITE {os.getpid()} 08:01:{inode} 0 EOF\n"


class Listed:
    """Stands for the kernel's list; each of `told` makes what one look at it gives."""

    def __init__(self, *told):
        self.told = list(told)

    def read_text(self):
        return self.told.pop(0)()


def test_a_second_one_is_told_who_has_it(tmp_path):
    with FolderLock(tmp_path / "new/deep", what="the mirror"):
        assert holder(tmp_path / "new/deep") == os.getpid()
        with pytest.raises(BusyError, match=rf"pid {os.getpid()}\) already has the mirror"):
            FolderLock(tmp_path / "new/deep", what="the mirror")
    assert holder(tmp_path / "new/deep") is None
    with FolderLock(tmp_path / "new/deep", what="the mirror"):
        pass


def test_nobody_holds_what_is_not_there(tmp_path):
    assert holder(tmp_path) is None


def test_a_holder_that_dies_lets_go(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from syncd.state.lock import FolderLock;"
        "FolderLock(Path(sys.argv[1]), what='it'); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout
    with process.stdout:
        assert process.stdout.readline() == b"held\n"
        assert holder(tmp_path) == process.pid
        with pytest.raises(BusyError, match=f"pid {process.pid}"):
            FolderLock(tmp_path, what="it")
        process.kill()
        process.wait()
    with FolderLock(tmp_path, what="it"):
        assert holder(tmp_path) == os.getpid()


def test_those_who_only_ask_do_not_keep_it_from_anybody(tmp_path):
    FolderLock(tmp_path, what="it").close()
    end = threading.Event()

    def ask():
        while not end.is_set():
            holder(tmp_path)

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(30):
            FolderLock(tmp_path, what="it").close()
    finally:
        end.set()
        for asker in askers:
            asker.join()


def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o555)
    with as_nobody(), pytest.raises(StateError, match="mend its rights or set XDG_STATE_HOME"):
        FolderLock(tmp_path / "new", what="it")
    tmp_path.chmod(0o755)


def test_a_lock_that_has_no_room_for_its_holder_is_not_held(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StateError, match="No space left") as told:
            FolderLock(tmp_path, what="it")
    assert str(tmp_path) in str(told.value)
    FolderLock(tmp_path, what="it").close()


def test_a_lock_that_a_long_list_left_out_is_looked_for_again(tmp_path, monkeypatch):
    with FolderLock(tmp_path, what="it"):
        listed = Listed(lambda: MANY, lambda: MANY, lambda: MANY + row(tmp_path))
        monkeypatch.setattr(lock, "LOCKS", listed)
        assert holder(tmp_path) == os.getpid()
    assert listed.told == []


def test_a_list_that_is_whole_is_believed_at_once_and_a_long_one_in_the_end(tmp_path, monkeypatch):
    FolderLock(tmp_path, what="it").close()
    for looks, text in ((1, OTHER), (lock.LOOKS, MANY)):
        listed = Listed(*[lambda text=text: text] * looks)
        monkeypatch.setattr(lock, "LOCKS", listed)
        assert holder(tmp_path) is None
        assert listed.told == []


@pytest.mark.parametrize("before", ["", "1\n"], ids=["nothing", "the one before it"])
def test_a_holder_that_is_about_to_write_its_pid_is_waited_for(tmp_path, monkeypatch, before):
    file = tmp_path / "lock"

    def about_to():
        file.write_text(f"{os.getpid()}\n")
        return row(tmp_path)

    with FolderLock(tmp_path, what="it"):
        file.write_text(before)
        monkeypatch.setattr(lock, "LOCKS", Listed(about_to, lambda: row(tmp_path)))
        assert holder(tmp_path) == os.getpid()
