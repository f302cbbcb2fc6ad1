"""The trees that every contestant carries: how many files, how large, and their bytes.

The bytes come from a seed, do not compress, and differ from file to file. The names end in .jpg,
so that syncd takes them as candidates. A tree is made once per run and only read afterwards;
`settle` takes away what a contestant left in its root.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20
PIECE = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`files` files of `size` bytes, spread evenly over `folders` folders."""

    name: str
    files: int
    folders: int
    size: int

    @property
    def bytes(self) -> int:
        return self.files * self.size

    def __str__(self) -> str:
        return f"{self.name}: {self.files:,} files of {_human(self.size)} in {self.folders} folders"

    def scaled(self, scale: float) -> Workload:
        """The same at another size: fewer files, or smaller ones where there are only a few."""
        if self.files < 10:
            return replace(self, size=max(1, round(self.size * scale)))
        files = max(1, round(self.files * scale))
        return replace(self, files=files, folders=max(1, min(files, round(self.folders * scale))))


WORKLOADS = {
    "W1": Workload(name="W1", files=20_000, folders=100, size=8 * KIB),
    "W2": Workload(name="W2", files=2_000, folders=20, size=200 * KIB),
    "W3": Workload(name="W3", files=4, folders=1, size=512 * MIB),
    "W4": Workload(name="W4", files=300_000, folders=1_000, size=64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A workload as it lies on the disk."""

    workload: Workload
    root: Path


def make(workload: Workload, root: Path) -> Tree:
    """Write the workload below `root`, which must not exist."""
    source = random.Random(workload.name)
    latest, folder = -1, root
    for index in range(workload.files):
        number = index * workload.folders // workload.files
        if number != latest:
            latest, folder = number, root / f"folder-{number:04}"
            folder.mkdir(parents=True)
        _write(f"{folder}/picture-{index:06}.jpg", workload.size, source)
    return Tree(workload=workload, root=root)


def count(root: Path) -> tuple[int, int]:
    """How many pictures lie below `root`, and how many bytes they have."""
    sizes = [entry.stat().st_size for entry in _pictures(str(root))]
    return len(sizes), sum(sizes)


def forget_reads(tree: Tree) -> bool:
    """Set every access time back; return whether the file system will tell of a later read."""
    first = None
    for entry in _pictures(str(tree.root)):
        os.utime(entry.path, ns=(0, entry.stat().st_mtime_ns))
        first = first or entry.path
    if first is None:
        return False
    canary = tree.root.with_name("canary")
    shutil.copyfile(first, canary)
    os.utime(canary, ns=(0, 0))
    canary.read_bytes()
    told = canary.stat().st_atime_ns != 0
    canary.unlink()
    return told


def were_read(tree: Tree) -> int:
    """How many files were read since `forget_reads`."""
    return sum(1 for entry in _pictures(str(tree.root)) if entry.stat().st_atime_ns != 0)


def settle(tree: Tree) -> None:
    """Take away the hidden entries of the root, such as the marker that syncd leaves there."""
    for entry in tree.root.glob(".*"):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def removed(tree: Tree) -> Iterator[None]:
    """Take the tree away at the end."""
    try:
        yield
    finally:
        remove(tree.root)


def remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _pictures(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _pictures(entry.path)
            elif entry.name.endswith(".jpg"):
                yield entry


def _write(path: str, size: int, source: random.Random) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        for start in range(0, size, PIECE):
            os.write(fd, source.randbytes(min(PIECE, size - start)))
    finally:
        os.close(fd)


def _human(size: int) -> str:
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} B"
