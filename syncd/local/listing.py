"""What a scan says of one folder: all of it, or that nothing in it changed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from syncd.model import Stat
from syncd.value import value

WIDEST = (1 << 63) - 1
"""The largest number that SQLite keeps as one."""


def stat_of(found: os.stat_result) -> Stat:
    """What is noted of a file. Inodes that some file systems make of hashes, and times beyond 1677
    and 2262, do not fit into 64 bits with a sign: the first wrap, the second stay at the end."""
    inode, mtime = found.st_ino, found.st_mtime_ns
    if inode > WIDEST:
        inode -= 1 << 64
    return (found.st_size, max(-WIDEST, min(mtime, WIDEST)), inode)


@value
class Glance:
    """A complete listing with nothing refused, of which only the print was kept, and the number of
    candidates. `subdirs` and `ignored` are as in a listing."""

    dir: str
    print: str
    count: int
    subdirs: Sequence[str]
    ignored: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class Listing:
    """One folder as the disk shows it now; `dir` is relative to the root, "" the root itself.

    `files` are the candidates, `sidecars` what may hold the annotations of one, `subdirs` what the
    walk goes into next, in order; `refused` has names that cannot be carried, as (display path,
    reason); `ignored` counts all else by rule. Where not `complete`, what is missing here and
    everything below is unknown, and `error` says why.
    """

    dir: str
    files: dict[str, Stat] = field(default_factory=dict)
    sidecars: dict[str, Stat] = field(default_factory=dict)
    subdirs: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True
    error: str | None = None

    def print(self) -> str:
        """What tells one listing of a folder from another: all names and how each file looks.

        The hash of tuples of numbers is the same in every run; where it is not, in another Python,
        the folder is compared file by file.
        """
        files = {**self.files, **self.sidecars} if self.sidecars else self.files
        names = blake2b("\0".join(files).encode(), digest_size=16).hexdigest()
        return f"{names} {hash(tuple(files.values()))}"

    def glance(self) -> Glance | None:
        """What is told of a folder that has probably not changed; None where that is not all."""
        if not self.complete or self.refused:
            return None
        return Glance(
            dir=self.dir, print=self.print(), count=len(self.files), subdirs=self.subdirs,
            ignored=self.ignored,
        )  # fmt: skip
