"""The choices of one mirror, as the command line, the configuration and Python give them."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.local.kind import EXTENSIONS
from syncd.model import Layout, OnConflict, OnDelete


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a folder is mirrored. `prefix` is a folder of the dataset everything goes below;
    `source` names this side where `on_conflict` is suffix; an empty set of `extensions` takes
    every file; `ignore` holds gitignore lines."""

    layout: Layout = Layout.FIRST_LEVEL
    prefix: str = ""
    on_delete: OnDelete = OnDelete.TRASH
    on_conflict: OnConflict = OnConflict.KEEP
    source: str = ""
    extensions: frozenset[str] = EXTENSIONS
    ignore: tuple[str, ...] = ()
