"""What may happen to a world: on the disk, at the remote, to the process, in between.

Every act is (name, i, j): the numbers choose among what there is, so that any list of acts is a
history that can be run.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from syncd.local.hint import Hint
from syncd.model import ItemState
from syncd.remotes.memory import Fault
from tests.engine.world import SECOND, Act, World, digest

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
REMOTE = ("put", "change", "move", "trash", "restore", "purge", "vanish", "compare")


class Acts:
    """Carries out a history on a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.deaf = 0
        self._times = 0
        self._trashed: dict[str, bytes] = {}

    def run(self, history: Iterable[Act]) -> None:
        for name, i, j in history:
            getattr(self, name)(i, j)

    # --- the disk ---------------------------------------------------------------------------------

    def write(self, i: int, j: int) -> None:
        path = PATHS[i % len(PATHS)]
        if not self._at(path).exists() and self._room(path):
            self._put(path, self._content(j))

    def overwrite(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._put(path, self._content(j))

    def replace(self, i: int, j: int) -> None:
        if path := self._pick(i):
            draft = self._at(path).with_name(".draft")
            self._fill(draft, self._content(j))
            draft.replace(self._at(path))
            self._hint(path)

    def touch(self, i: int, j: int) -> None:
        if path := self._pick(i):
            os.utime(self._at(path), ns=self._now())
            self._hint(path)

    def delete(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._trashed[path] = self._at(path).read_bytes()
            self._at(path).unlink()
            self._hint(path)

    def recreate(self, i: int, j: int) -> None:
        gone = [path for path in self._trashed if not self._at(path).exists() and self._room(path)]
        if gone:
            path = gone[i % len(gone)]
            self._put(path, self._trashed[path])

    def rename(self, i: int, j: int) -> None:
        """To any name, taken or not."""
        old, new = self._pick(i), PATHS[j % len(PATHS)]
        if old and old != new and self._room(new) and not self._at(new).is_dir():
            self._at(new).parent.mkdir(parents=True, exist_ok=True)
            self._at(old).rename(self._at(new))
            self._hint(old, new)

    def rename_free(self, i: int, j: int) -> None:
        if not self._at(PATHS[j % len(PATHS)]).exists():
            self.rename(i, j)

    def rotate(self, i: int, j: int) -> None:
        """Every file of a folder takes the next one's name, and the last the first one's."""
        folder = FOLDERS[i % len(FOLDERS)]
        names = [p for p in sorted(self.world.files()) if p.rpartition("/")[0] == folder]
        for path in names:
            self._at(path).rename(self._at(path).with_name(f".{Path(path).name}"))
        for old, new in zip(names, names[1:] + names[:1], strict=True):
            self._at(old).with_name(f".{Path(old).name}").rename(self._at(new))
        self._hint(*names)

    def swap(self, i: int, j: int) -> None:
        a, b = self._pick(i), self._pick(j)
        if a and b and a != b:
            aside = self._at(a).with_name(".aside")
            self._at(a).rename(aside)
            self._at(b).rename(self._at(a))
            aside.rename(self._at(b))
            self._hint(a, b)

    def copy(self, i: int, j: int) -> None:
        """As `cp -p`: the same bytes and times, another file."""
        old, new = self._pick(i), PATHS[j % len(PATHS)]
        if old and self._room(new) and not self._at(new).exists():
            self._at(new).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._at(old), self._at(new))
            self._hint(new)

    def rename_folder(self, i: int, j: int) -> None:
        old, new = FOLDERS[1 + i % 5], FOLDERS[1 + j % 5] + "x" * (i % 2)
        there = self._at(old).is_dir() and not self._at(new).exists() and self._room(new)
        if there and not f"{new}/".startswith(f"{old}/"):
            self._at(new).parent.mkdir(parents=True, exist_ok=True)
            self._at(old).rename(self._at(new))
            self._hint(old)
            self._hint(new, tree=True)

    def delete_folder(self, i: int, j: int) -> None:
        path = FOLDERS[1 + i % 5]
        if self._at(path).is_dir():
            shutil.rmtree(self._at(path))
            self._hint(path)

    def file_to_folder(self, i: int, j: int) -> None:
        if path := self._pick(i):
            self._at(path).unlink()
            self._at(path).mkdir()
            self._fill(self._at(path) / "in.jpg", self._content(j))
            self._hint(path, tree=True)

    def folder_to_file(self, i: int, j: int) -> None:
        found = [p for p in PATHS if self._at(p).is_dir()]
        if found:
            path = found[i % len(found)]
            shutil.rmtree(self._at(path))
            self._put(path, self._content(j))

    def lose_hints(self, i: int, j: int) -> None:
        """The next few changes go unheard."""
        self.deaf = 1 + i % 4

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
        self.world.mirror.compare()

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

    def _theirs(self, key: str, j: int) -> None:
        files = sorted(self.world.files().items())
        content = (
            files[j % len(files)][1] if files and j % 3 == 0 else b"theirs %04d" % self._tick()
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
        return b"%06d" % self._tick() + b"." * (j % 3)

    def _put(self, path: str, content: bytes) -> None:
        self._at(path).parent.mkdir(parents=True, exist_ok=True)
        self._fill(self._at(path), content)
        self._hint(path)

    def _fill(self, file: Path, content: bytes) -> None:
        self.world.ever.add(digest(content))
        file.write_bytes(content)
        os.utime(file, ns=self._now())

    def _now(self) -> tuple[int, int]:
        # In the past of the real clock, and never twice the same.
        at = self.world.clock.ns - 60 * SECOND + self._tick()
        return at, at

    def _tick(self) -> int:
        self._times += 1
        return self._times

    def _hint(self, *paths: str, tree: bool = False) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        for path in paths:
            self.world.mirror.post(Hint(path=path, prompt=True, tree=tree))


def made_by(seed: int, length: int, names: Sequence[str]) -> list[Act]:
    """A history from a seed."""
    rng = random.Random(seed)
    return [(rng.choice(names), rng.randrange(100), rng.randrange(100)) for _ in range(length)]


Play = Callable[[World, Acts], None]
