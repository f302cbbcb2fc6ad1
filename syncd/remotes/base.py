"""What a remote is: the seam every hub, store and platform is written against.

The engine calls these protocols from worker threads; an adapter must be safe to share between
them. `put`, `move` and `remove` may be called again with the same batch and must then come to
the same end. Whatever concerns one file is an `Outcome`; raising is for what stops the whole
batch (unreachable, denied). Adapters raise nothing outside `syncd.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from syncd.annotation.model import AnnotationSet, Size
from syncd.errors import SyncdError
from syncd.model import Item
from syncd.remotes.pace import Pace
from syncd.value import value


@value
class Traits:
    """What a remote can do; the engine branches on these and on nothing else."""

    replace: bool = True
    trash: bool = True
    delete: bool = True
    digest: bool = True
    """Listings carry SHA-256, so an item can be adopted without sending it."""
    inline_bytes: int = 64 * 1024
    """Bodies up to this size are sent without asking first."""
    batch_files: int = 400
    batch_bytes: int = 8 * 1024 * 1024
    parallel: int = 4


@value
class Upload:
    """One file to store under a key. `content` holds the bytes where they are small, else None
    and the adapter reads `file`; `digest` is of those very bytes. `expect` is the version that
    must be there now, of the item `item_id`: None means the key must be free."""

    key: str
    digest: str
    size: int
    file: Path
    content: bytes | None
    modified_ns: int
    expect: int | None
    item_id: str | None = None


@value
class Move:
    item_id: str
    expect: int | None
    key: str


@value
class Removal:
    item_id: str
    expect: int | None
    key: str
    forever: bool = False


@value
class Outcome:
    """What became of one upload, move or removal, in the order of the batch.

    Success is `error is None`, and then `item` is what the remote holds now. A ConflictError
    carries in `item` what the remote holds instead. `sent` counts body bytes that travelled.
    """

    key: str
    item: Item | None = None
    error: SyncdError | None = None
    sent: int = 0


@value
class DatasetInfo:
    id: str
    name: str
    items: int = 0
    bytes: int = 0


@value
class Changes:
    """Items in the order they last changed, each in its present state; `cursor` continues."""

    items: tuple[Item, ...]
    cursor: int
    more: bool
    generation: str = ""


class Dataset(Protocol):
    """A bound handle on one dataset."""

    info: DatasetInfo
    traits: Traits

    def items(self, folder: str = "") -> Iterator[Item]:
        """Present items at or below `folder`, ordered by (folder, name) as UTF-8 bytes."""
        ...

    def put(self, batch: Sequence[Upload]) -> Sequence[Outcome]: ...

    def remove(self, batch: Sequence[Removal]) -> Sequence[Outcome]: ...

    def read(self, item: Item, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The item's bytes, or a part of them; raises MissingError where they are gone.

        Where the item's digest is known they are those of that digest and no other version's.
        """
        ...


@runtime_checkable
class Moves(Protocol):
    """A dataset that can rename an item without its bytes travelling."""

    def move(self, batch: Sequence[Move]) -> Sequence[Outcome]: ...


@runtime_checkable
class Feeds(Protocol):
    """A dataset that can tell what changed since a cursor, tombstones included."""

    def changes(self, cursor: int, *, wait: float = 0.0, mine: bool = False) -> Changes:
        """Return at once if something changed after `cursor`, else after `wait` seconds.

        Changes made by this very client (its `source`) are left out unless `mine`.
        """
        ...

    def generation(self) -> str:
        """An opaque word that changes when the remote was restored from a backup."""
        ...


@runtime_checkable
class Trashes(Protocol):
    """A dataset with a trash that can be looked at and undone."""

    def trashed(self) -> Iterator[Item]: ...

    def restore(self, items: Sequence[Item]) -> Sequence[Outcome]: ...

    def empty_trash(self) -> int:
        """Purge all trashed items; return how many."""
        ...


@runtime_checkable
class Paced(Protocol):
    """A dataset whose bodies go out at the speed that its `pace` allows."""

    pace: Pace


@runtime_checkable
class Finds(Protocol):
    """A dataset that can be asked for one key."""

    def find(self, key: str) -> Item | None: ...


@runtime_checkable
class Annotates(Protocol):
    """A dataset that keeps what people and models say about its items.

    A change of annotations shows in the feed with a greater `annotated`, and leaves the version;
    a move, a new version, the trash and the way back keep them.
    """

    def annotate(self, batch: Sequence[AnnotationSet]) -> Sequence[Outcome]:
        """Store each set in the place of its item's set of the same operation; a set without
        annotations removes it. An outcome's `key` is the item's id; a set that changes nothing
        is a success and leaves `annotated`.
        """
        ...

    def annotations(
        self, items: Sequence[Item]
    ) -> Iterator[tuple[Item, tuple[AnnotationSet, ...]]]:
        """Each of the items as it is now, with its sets ordered by operation, in the order asked;
        items that are gone for good are left out. Thousands may be asked for in one call."""
        ...

    def sizes(self, items: Sequence[Item]) -> Iterator[tuple[Item, Size | None]]:
        """Each of the items as it is now with the size of its picture, None where it cannot be
        told; in the order asked, without those that are gone for good."""
        ...


@runtime_checkable
class Fetches(Protocol):
    """A dataset that can send the bytes of many small items in one answer."""

    def fetch(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | SyncdError]]:
        """Each of the items, in the order asked, with its bytes as they arrive, or a MissingError
        where they are gone.

        The bytes are those of the item's digest, of a replaced version as well while the remote
        keeps it; who calls checks that. At most 1,000 items and 32 MiB may be asked for.
        """
        ...


class Remote(Protocol):
    def datasets(self) -> Iterator[DatasetInfo]: ...

    def open(self, name: str, *, create: bool, source: str = "") -> Dataset:
        """Bind a dataset; `source` names this client in the remote's record of who changed what.

        Raises NotFoundError where it is missing and `create` is false.
        """
        ...

    def bind(self, info: DatasetInfo, *, source: str = "") -> Dataset:
        """Bind a dataset that is known from before, without asking: the remote may be away."""
        ...

    def check(self) -> None:
        """Raise DeniedError or TransientError where the remote cannot be used."""
        ...

    def close(self) -> None: ...
