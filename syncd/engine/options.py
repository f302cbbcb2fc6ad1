"""The choices of one mirror, as the command line, the configuration and Python give them."""

from __future__ import annotations

from syncd.local.kind import EXTENSIONS
from syncd.model import Layout, OnConflict, OnDelete
from syncd.value import value


@value
class Options:
    """How a folder is mirrored. `prefix` is a folder of the dataset everything goes below;
    `source` names this side where a file is stored beside another, "" being the machine; an empty
    set of `extensions` takes every file; `ignore` holds gitignore lines; `rate` is how many bytes
    per second may be sent, None being any; `hours` are the spans of the day, in minutes, in which
    a daemon sends, none being all; `history_days` is for how long is known what was done.
    """

    layout: Layout = Layout.FIRST_LEVEL
    prefix: str = ""
    on_delete: OnDelete = OnDelete.TRASH
    on_conflict: OnConflict = OnConflict.KEEP
    source: str = ""
    extensions: frozenset[str] = EXTENSIONS
    ignore: tuple[str, ...] = ()
    rate: float | None = None
    hours: tuple[tuple[int, int], ...] = ()
    history_days: int = 90
