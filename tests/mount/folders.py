"""A remote that is no hub: its datasets are folders of this machine. And a program to mount it.

What it offers besides the least is chosen by the names of `KINDS`. An item is what a name shows;
it has no version, and a digest only where that is offered. Run as
`python -m tests.mount.folders KIND ROOT mount DATASET MOUNTPOINT ...`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from syncd.cli import reach
from syncd.cli.main import app
from syncd.config.places import Places, places
from syncd.errors import MissingError, NotFoundError, SyncdError, TransientError
from syncd.model import Item, ItemState
from syncd.remotes.base import Changes, Dataset, DatasetInfo, Outcome, Removal, Traits, Upload

PIECE = 100_000


class FolderDataset:
    """The least there is: it lists and reads, and tells no digests."""

    traits = Traits(digest=False)

    def __init__(self, info: DatasetInfo, folder: Path) -> None:
        self.info = info
        self.folder = folder

    def items(self, folder: str = "") -> Iterator[Item]:
        try:
            files = [file for file in (self.folder / folder).rglob("*") if file.is_file()]
            found = [self._item(file) for file in files]
        except OSError as error:
            raise TransientError("it changed while it was listed") from error
        self._check()  # afterwards: what went under the listing is not in it
        return iter(sorted(found, key=lambda item: item.key.rpartition("/")[::2]))

    def read(self, item: Item, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """In small pieces; of another version of the file there is nothing to be had."""
        file = self.folder / item.key
        self._check()
        try:
            if self._item(file) != item:
                raise MissingError("it was replaced")
            content = file.read_bytes()[offset:][:length]
        except OSError as error:
            raise MissingError("it is not there") from error
        return (content[at : at + PIECE] for at in range(0, len(content), PIECE))

    def put(self, batch: Sequence[Upload]) -> Sequence[Outcome]:
        raise NotImplementedError("a mount writes nothing")

    def remove(self, batch: Sequence[Removal]) -> Sequence[Outcome]:
        raise NotImplementedError("a mount removes nothing")

    def _check(self) -> None:
        if not self.folder.parent.exists():
            raise TransientError("its disk is not there")

    def _item(self, file: Path) -> Item:
        key, seen = file.relative_to(self.folder).as_posix(), file.stat()
        digest = sha256(file.read_bytes()).hexdigest() if self.traits.digest else None
        return Item(
            key=key, id=key, size=seen.st_size, modified_ns=seen.st_mtime_ns, digest=digest
        )  # fmt: skip


class Digests(FolderDataset):
    """Tells digests as well."""

    traits = Traits()


class Bulk(FolderDataset):
    """Sends many small files in one answer, and has no feed."""

    def fetch(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | SyncdError]]:
        for item in items:
            try:
                yield item, b"".join(self.read(item))
            except MissingError as error:
                yield item, error


class Feed(Digests):
    """Tells what changed since this program began, and sends one file at a time."""

    def __init__(self, info: DatasetInfo, folder: Path) -> None:
        super().__init__(info, folder)
        self._seen: dict[str, Item] = {}
        self._log: list[Item] = []

    def changes(self, cursor: int, *, wait: float = 0.0, mine: bool = False) -> Changes:
        until = time.monotonic() + wait
        self._look()
        while cursor >= len(self._log) and time.monotonic() < until:
            time.sleep(0.05)
            self._look()
        news = tuple(self._log[cursor:])
        return Changes(items=news, cursor=len(self._log), more=False, generation=self.generation())

    def generation(self) -> str:
        return str(os.getpid())

    def _look(self) -> None:
        there = {item.id: item for item in self.items()}
        self._log += [item for item in there.values() if self._seen.get(item.id) != item]
        gone = self._seen.keys() - there.keys()
        self._log += [Item(key=id, id=id, state=ItemState.PURGED) for id in gone]
        self._seen = there


KINDS: dict[str, type[FolderDataset]] = {
    "least": FolderDataset, "digests": Digests, "bulk": Bulk, "feed": Feed,
}  # fmt: skip


@dataclass(frozen=True)
class FolderRemote:
    """Every folder right below `root` is a dataset."""

    root: Path
    kind: type[FolderDataset]

    def datasets(self) -> Iterator[DatasetInfo]:
        self.check()
        return (DatasetInfo(id=f"id {at.name}", name=at.name) for at in sorted(self.root.iterdir()))

    def open(self, name: str, *, create: bool, source: str = "") -> Dataset:
        info = next((info for info in self.datasets() if info.name == name), None)
        if info is None:
            raise NotFoundError(f"there is no dataset {name!r}")
        return self.bind(info)

    def bind(self, info: DatasetInfo, *, source: str = "") -> Dataset:
        return self.kind(info, self.root / info.name)

    def check(self) -> None:
        if not self.root.exists():
            raise TransientError("its disk is not there")

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Reached:
    """The remote, as a mount is given it."""

    remote: FolderRemote
    places: Places = field(default_factory=places)

    @property
    def address(self) -> str:
        return f"folders:{self.remote.root}"

    def revive(self) -> None:
        """Nothing of it runs."""


def main(kind: str, root: str, *words: str) -> None:
    """`syncd`, but that the remote it reaches is this one."""
    reached = Reached(FolderRemote(Path(root), KINDS[kind]))
    reach.client = lambda remote, token_file: nullcontext(reached)  # type: ignore[assignment,return-value]
    app()(list(words), prog_name="syncd")


if __name__ == "__main__":
    main(*sys.argv[1:])
