"""The nouns of syncd as values: what was seen on disk, what a remote holds, what was agreed.

Everything here is frozen, does no I/O and imports nothing but the standard library, so that the
planner can stay pure. Paths are POSIX strings relative to the mirror's root; a key is
`folder/name` inside the dataset, without a leading slash; times are nanoseconds since 1970;
digests are SHA-256 in lower-case hex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from syncd.value import value

Stat = tuple[int, int, int]
"""Size in bytes, mtime in nanoseconds, inode: what tells one state of a file from another.

A plain tuple, because a scan compares one per file with the state file's row, at C speed."""


class ItemState(StrEnum):
    """Whether a remote item is there. `PURGED` is a tombstone whose bytes are gone too."""

    PRESENT = "present"
    TRASHED = "trashed"
    PURGED = "purged"


class Layout(StrEnum):
    """How a relative path becomes a key."""

    FIRST_LEVEL = "first-level"
    TREE = "tree"
    FLAT = "flat"


class OnDelete(StrEnum):
    """What a file that is gone locally means for its item."""

    TRASH = "trash"
    KEEP = "keep"
    DELETE = "delete"


class OnConflict(StrEnum):
    """What happens when a name is taken at the remote by other content.

    KEEP leaves both sides alone and lists it; SUFFIX stores ours beside it, as `name~source`.
    """

    KEEP = "keep"
    SUFFIX = "suffix"


class Verb(StrEnum):
    """What an action does. `READ` wants the digest before anything else can be decided."""

    READ = "read"
    PUT = "put"
    REPLACE = "replace"
    MOVE = "move"
    REMOVE = "remove"
    ADOPT = "adopt"
    FORGET = "forget"
    HOLD = "hold"
    CONFLICT = "conflict"
    NOTHING = "nothing"


@value
class Local:
    """A file as the disk showed it; `digest` is None until its bytes were read."""

    stat: Stat
    digest: str | None = None

    @property
    def size(self) -> int:
        return self.stat[0]


@value
class Item:
    """Something a remote holds under a key; None means the remote does not tell."""

    key: str
    id: str
    version: int | None = None
    digest: str | None = None
    size: int | None = None
    state: ItemState = ItemState.PRESENT
    modified_ns: int | None = None
    content_type: str | None = None
    by: str = ""
    """The source that last changed it; one that starts with `mirror:` is a syncd, not a person."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    annotated: int = 0
    """Revision of its annotations: 0 where there never were any; grows with each change."""

    @property
    def folder(self) -> str:
        """Where it lies in the dataset: `/`, or `/a/b`."""
        return f"/{self.key.rpartition('/')[0]}"

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]


@value
class Receipt:
    """Proof that `digest` is stored at the remote as this item under this key."""

    key: str
    id: str
    version: int | None
    digest: str
    stored_ns: int = 0


@value
class Policy:
    """The user's choices that a decision depends on, with what the remote is able to do."""

    layout: Layout = Layout.FIRST_LEVEL
    prefix: str = ""
    on_delete: OnDelete = OnDelete.TRASH
    on_conflict: OnConflict = OnConflict.KEEP
    source: str = ""
    can_replace: bool = True
    can_move: bool = True
    can_trash: bool = True
    can_remove: bool = True


@value
class Triple:
    """Everything known about one local path: disk, remote and the last agreement.

    `key` is where the path belongs by layout and collision rules; `remote` is the item that
    matters for it: the receipt's own item while that is present, else whoever has `key` now (an
    item of another path's receipt only where it was put there behind our back, and then without
    its digest), else the latest tombstone.
    """

    path: str
    key: str
    local: Local | None
    remote: Item | None
    receipt: Receipt | None


@value
class Action:
    """One step of a plan. `reason` is a sentence fragment a user can read."""

    verb: Verb
    path: str
    key: str
    reason: str = ""
    triple: Triple | None = None
    origin: Triple | None = None
    """For MOVE: the vanished path whose item is to get the new key."""
