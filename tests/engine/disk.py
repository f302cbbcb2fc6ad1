"""A world's folder, changed as users and programs change folders; a watcher's hints go along."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.local.hint import Hint
from tests.engine.digests import digest

if TYPE_CHECKING:
    from tests.engine.world import World

SECOND = 1_000_000_000


class Disk:
    """The hands of whoever works in the folder. Times lie in the past, and no two are the same."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ticks = 0
        self.deaf = 0
        """So many of the next changes go unheard."""

    def at(self, path: str) -> Path:
        return self._world.root / path

    def write(self, path: str, content: bytes = b"") -> None:
        """Make a file, or write into it."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.fill(self.at(path), content or b"%06d" % self.tick())
        self.hint(path)

    def replace(self, path: str, content: bytes) -> None:
        """As editors do: another file is renamed over it."""
        draft = self.at(path).with_name(".draft")
        self.fill(draft, content)
        draft.replace(self.at(path))
        self.hint(path)

    def touch(self, path: str) -> None:
        os.utime(self.at(path), ns=self._now())
        self.hint(path)

    def delete(self, *paths: str) -> None:
        for path in paths:
            if self.at(path).is_dir():
                shutil.rmtree(self.at(path))
            else:
                self.at(path).unlink()
            self.hint(path)

    def move(self, old: str, new: str) -> None:
        """Of a file or a folder, over whatever has the new name."""
        folder = self.at(old).is_dir()
        self.at(new).parent.mkdir(parents=True, exist_ok=True)
        self.at(old).replace(self.at(new))
        # One change, heard whole or not at all: the kernel tells both halves at once.
        heard = not self.deaf
        self.hint(old)
        if heard:
            self.hint(new, tree=folder)

    def copy(self, old: str, new: str) -> None:
        """As `cp -p`: the same bytes and times, another file."""
        self.at(new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(self.at(old), self.at(new))
        self._keep(self.at(new))
        self.hint(new)

    def rotate(self, *paths: str) -> None:
        """Each file takes the next one's name, and the last the first one's."""
        for path in paths:
            self.at(path).rename(self._aside(path))
        for old, new in zip(paths, paths[1:] + paths[:1], strict=True):
            self._aside(old).rename(self.at(new))
        self.hint(*paths)

    def fill(self, file: Path, content: bytes) -> None:
        self._world.ever.add(digest(content))
        file.write_bytes(content)
        os.utime(file, ns=self._now())
        self._keep(file)

    def tick(self) -> int:
        self._ticks += 1
        return self._ticks

    def hint(self, *paths: str, tree: bool = False) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        for path in paths:
            self._world.mirror.post(Hint(path=path, prompt=True, tree=tree))

    def _keep(self, file: Path) -> None:
        """Hold its inode, or the file system may or may not give it to the next file: that comes
        in a history by a file that is renamed and written into."""
        if file.stat().st_nlink == 1:
            kept = self._world.folder / "kept"
            kept.mkdir(exist_ok=True)
            os.link(file, kept / str(file.stat().st_ino))

    def _aside(self, path: str) -> Path:
        return self.at(path).with_name(f".aside-{Path(path).name}")

    def _now(self) -> tuple[int, int]:
        at = self._world.clock.ns - 60 * SECOND + self.tick()
        return at, at
