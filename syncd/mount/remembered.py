"""Datasets that were mounted before, told by their indexes: mounted again while a remote is away.

`daemon/mount` notes a dataset in its index once that is whole, and asks for the notes at its next
start. A note is as old as the last start that reached the remote: its counts are no promises.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from syncd.mount.index import SCHEMA, Index
from syncd.mount.sidecars import Mode
from syncd.remotes.base import DatasetInfo

_WORDS = "SELECT name, value FROM meta WHERE name IN ('binding', 'filled', 'dataset')"


def binding(remote: str, id: str, sidecars: Mode) -> str:
    """What an index is made for, and good for nothing else."""
    return f"{remote} {id} {sidecars}"


def remember(index: Index, info: DatasetInfo) -> None:
    """Note which dataset an index shows."""
    with suppress(sqlite3.OperationalError):  # a full disk hinders nobody to read
        index.put_word("dataset", json.dumps(asdict(info)))


def remembered(above: Path, remote: str, sidecars: Mode) -> list[DatasetInfo]:
    """The datasets of a remote that are shown as they are wanted by a whole index in a folder
    below `above`; of those of one name the one that was filled last."""
    found: dict[str, tuple[int, DatasetInfo]] = {}
    for words in map(_words, above.glob("*/index.db")):
        fields = json.loads(words.get("dataset", "{}"))
        fit = f"{SCHEMA} {binding(remote, fields.get('id', ''), sidecars)}"
        if fields and words["binding"] == fit:
            try:
                one = int(words["filled"]), DatasetInfo(**fields)
            except (TypeError, ValueError):  # another version noted it, with other fields
                continue
            found[one[1].name] = max(one, found.get(one[1].name, one), key=lambda each: each[0])
    return [info for _, info in found.values()]


def _words(file: Path) -> dict[str, str]:
    """The words of an index that was filled, and is not damaged."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as db:
            words: dict[str, str] = dict(db.execute(_WORDS).fetchall())
    except sqlite3.Error:
        return {}
    return words if "filled" in words else {}
