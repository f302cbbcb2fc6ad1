"""What may happen to a world: on the disk, at the remote, to the process, in between.

Every act is (name, i, j): the numbers choose among what there is, so that any list of acts is a
history that can be run.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from syncd.model import ItemState, Layout
from syncd.remotes.memory import Fault
from syncd.remotes.shelf import Shelf
from tests.engine.digests import digest
from tests.engine.disk import SECOND
from tests.engine.world import Act, World

FOLDERS = ("", "a", "b", "a/c", "b/c", "a/c/d")
NAMES = ("1.jpg", "2.jpg", "1~c.jpg", "1~a.jpg", "1~2.jpg")
PATHS = tuple(f"{folder}/{name}" if folder else name for folder in FOLDERS for name in NAMES)
FAULTS = (Fault.UNREACHABLE, Fault.LOST, Fault.BUSY, Fault.BROKEN, Fault.GARBLED, Fault.DENIED)

LOCAL = (
    "write", "write", "overwrite", "replace", "touch", "delete", "rename", "rename", "copy", "swap",
    "rename_folder", "delete_folder", "recreate", "file_to_folder", "folder_to_file",
)  # fmt: skip
MIRROR = ("turn", "turn", "turn", "work", "work", "deliver", "deliver", "wait", "sweep", "hear")
ROUGH = ("crash", "crash_within", "forget_state", "fault", "fault", "restart", "lose_hints")
RARE = ("relayout", "backup", "put_back", "set_clock")
REMOTE = ("put", "change", "move", "trash", "restore", "purge", "vanish", "compare")


class Acts:
    """Carries out a history on a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._disk = world.disk
        self._gone: dict[str, bytes] = {}
        self._backup: Shelf | None = None

    def run(self, history: Iterable[Act]) -> None:
        for name, i, j in history:
            getattr(self, name)(i, j)

    # --- the disk ---------------------------------------------------------------------------------

    def write(self, i: int, j: int) -> None:
        path = PATHS[i % len(PATHS)]
        if not self._at(path).exists() and self._room(path):
            self._disk.write(path, self._content(j))

    def overwrite(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._disk.write(path, self._content(j))

    def replace(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._disk.replace(path, self._content(j))

    def touch(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._disk.touch(path)

    def delete(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._gone[path] = self._at(path).read_bytes()
            self._disk.delete(path)

    def recreate(self, i: int, j: int) -> None:
        gone = [path for path in self._gone if not self._at(path).exists() and self._room(path)]
        if gone:
            path = gone[i % len(gone)]
            self._disk.write(path, self._gone[path])

    def rename(self, i: int, j: int) -> None:
        """To any name, taken or not."""
        old, new = self._pick(i), PATHS[j % len(PATHS)]
        if old and old != new and self._room(new) and not self._at(new).is_dir():
            self._disk.move(old, new)

    def rename_free(self, i: int, j: int) -> None:
        if not self._at(PATHS[j % len(PATHS)]).exists():
            self.rename(i, j)

    def rotate(self, i: int, j: int) -> None:
        """All files of a folder."""
        folder = FOLDERS[i % len(FOLDERS)]
        self._disk.rotate(
            *(path for path in sorted(self.world.files()) if path.rpartition("/")[0] == folder)
        )

    def swap(self, i: int, j: int) -> None:
        a, b = self._pick(i), self._pick(j)
        if a and b and a != b:
            self._disk.rotate(a, b)

    def copy(self, i: int, j: int) -> None:
        old, new = self._pick(i), PATHS[j % len(PATHS)]
        if old and self._room(new) and not self._at(new).exists():
            self._disk.copy(old, new)

    def rename_folder(self, i: int, j: int) -> None:
        old, new = FOLDERS[1 + i % 5], FOLDERS[1 + j % 5] + "x" * (i % 2)
        there = self._at(old).is_dir() and not self._at(new).exists() and self._room(new)
        if there and not f"{new}/".startswith(f"{old}/"):
            self._disk.move(old, new)

    def delete_folder(self, i: int, j: int) -> None:
        path = FOLDERS[1 + i % 5]
        if self._at(path).is_dir():
            self._disk.delete(path)

    def file_to_folder(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._at(path).unlink()
            self._at(path).mkdir()
            self._disk.fill(self._at(path) / "in.jpg", self._content(j))
            self._disk.hint(path, tree=True)

    def folder_to_file(self, i: int, j: int) -> None:
        found = [p for p in PATHS if self._at(p).is_dir()]
        if found:
            path = found[i % len(found)]
            shutil.rmtree(self._at(path))
            self._disk.write(path, self._content(j))

    def lose_hints(self, i: int, j: int) -> None:
        """The next few changes go unheard."""
        self._disk.deaf = 1 + i % 4

    # --- the mirror -------------------------------------------------------------------------------

    def turn(self, i: int, j: int) -> None:
        self.world.turn()

    def work(self, i: int, j: int) -> None:
        self.world.pool.run(i)

    def deliver(self, i: int, j: int) -> None:
        self.world.pool.deliver(i)

    def wait(self, i: int, j: int) -> None:
        self.world.clock.advance((0.01, 0.5, 2.1, 30.0)[i % 4])

    def sweep(self, i: int, j: int) -> None:
        self.world.sweep()

    def hear(self, i: int, j: int) -> None:
        self.world.hear()

    def compare(self, i: int, j: int) -> None:
        self.world.mirror.comparison.want()

    def crash(self, i: int, j: int) -> None:
        self.world.crash()
        self.world.start()
        self.world.sweep()

    def crash_within(self, i: int, j: int) -> None:
        self.world.pool.crash_at = i % 3

    def forget_state(self, i: int, j: int) -> None:
        self.world.crash()
        self.world.forget_state()
        self.world.start()
        self.world.sweep()

    def restart(self, i: int, j: int) -> None:
        self.world.restart()
        self.world.sweep()

    def fault(self, i: int, j: int) -> None:
        self.world.faults += [FAULTS[i % len(FAULTS)]] * (1 + j % 3)

    def relayout(self, i: int, j: int) -> None:
        """The next run has another layout."""
        layout = list(Layout)[i % len(Layout)]
        options = replace(self.world.options, layout=layout, prefix=("", "a", "new")[j % 3])
        self.world.restart(options)
        self.world.sweep()

    def set_clock(self, i: int, j: int) -> None:
        """By hours, back or forth."""
        self.world.clock.ns += (i - 50) * 600 * SECOND

    # --- the remote -------------------------------------------------------------------------------

    def put(self, i: int, j: int) -> None:
        """A person stores something under a free key; now and then what a file here holds."""
        key = PATHS[i % len(PATHS)]
        if self.world.shelf.find(key) is None:
            self._theirs(key, j)

    def change(self, i: int, j: int) -> None:
        if key := self._key(i):
            self._theirs(key, j)

    def move(self, i: int, j: int) -> None:
        key, new = self._key(i), PATHS[j % len(PATHS)]
        if key and self.world.shelf.find(new) is None:
            self.world.meddled = True
            self.world.shelf.rename(key, new)

    def trash(self, i: int, j: int) -> None:
        if key := self._key(i):
            self.world.meddled = True
            self.world.shelf.trash(key)

    def vanish(self, i: int, j: int) -> None:
        if key := self._key(i):
            self.world.meddled = True
            self.world.shelf.vanish(key)

    def restore(self, i: int, j: int) -> None:
        id = self._tombstone(i, ItemState.TRASHED)
        if id and self.world.shelf.find(self.world.shelf.entries[id].item.key) is None:
            self.world.meddled = True
            self.world.shelf.restore(id)

    def purge(self, i: int, j: int) -> None:
        if id := self._tombstone(i, ItemState.TRASHED):
            self.world.meddled = True
            self.world.shelf.purge(id)

    def backup(self, i: int, j: int) -> None:
        self._backup = self.world.shelf.backup()

    def put_back(self, i: int, j: int) -> None:
        """The remote is restored, and a person approves whatever the mirror asks."""
        if self._backup is None:
            return
        self.world.meddled = self.world.approving = True
        self.world.shelf.put_back(self._backup, f"restored {self._disk.tick()}")
        self.world.hear()
        self.world.turn()
        self.world.approve_restore()

    def _theirs(self, key: str, j: int) -> None:
        files = sorted(self.world.files().items())
        content = (
            files[j % len(files)][1] if files and j % 3 == 0 else b"theirs %04d" % self._disk.tick()
        )
        self.world.meddled = True
        self.world.people.add(digest(content))
        self.world.shelf.store(key, content)

    def _key(self, i: int) -> str | None:
        keys = sorted(self.world.shelf.at)
        return keys[i % len(keys)] if keys else None

    def _tombstone(self, i: int, state: ItemState) -> str | None:
        found = [e.item.id for e in self.world.shelf.entries.values() if e.item.state is state]
        return found[i % len(found)] if found else None

    # --- parts ------------------------------------------------------------------------------------

    def _at(self, path: str) -> Path:
        return self.world.root / path

    def _pick(self, i: int) -> str | None:
        files = sorted(self.world.files())
        return files[i % len(files)] if files else None

    def _room(self, path: str) -> bool:
        """Whether no file stands where a folder of the path must be."""
        return not any(self._at(str(p)).is_file() for p in Path(path).parents if str(p) != ".")

    def _content(self, j: int) -> bytes:
        """Mostly new; of the same size more often than not; sometimes what another file holds."""
        files = sorted(self.world.files().items())
        if files and j % 7 == 6:
            return files[j % len(files)][1]
        return b"%06d" % self._disk.tick() + b"." * (j % 3)


def made_by(seed: int, length: int, names: Sequence[str]) -> list[Act]:
    """A history from a seed."""
    rng = random.Random(seed)
    return [(rng.choice(names), rng.randrange(100), rng.randrange(100)) for _ in range(length)]
