"""From keys to names that a file system can show. Pure: the index asks it, and nothing else.

A key's parts are shown as they are wherever that is safe. What is not gets another name, which
gives way to an item that has that name by itself. Of several that claim one name in one folder,
the lowest rank is shown: a folder, then an item under its own name, then one under another, then
a sidecar; the others are hidden, and reported.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from hashlib import sha256

from syncd.annotation.model import SUFFIX
from syncd.value import value

MAX_BYTES = 255
OLD = ".syncd-old"
"""The folder at the mount's root, in no listing, where replaced files go that somebody may hold."""


class Rank(IntEnum):
    """Who is shown where several claim one name; the lowest is."""

    FOLDER = 0
    ITEM = 1
    RENAMED = 2
    SIDECAR = 3


@value
class Place:
    """Where an item is shown: the folders on the way, its name there, and with what claim."""

    folders: tuple[str, ...]
    name: str
    rank: Rank


@lru_cache(maxsize=16)
def place(key: str) -> Place:
    """The place of a key, whatever it holds."""
    above, slash, last = key.rpartition("/")
    folders, alike = _folders(above) if slash else ((), True)
    name = safe(last)
    if not slash and name == OLD:
        name = _escaped(OLD)
    own = alike and name == last
    return Place(folders=folders, name=name, rank=Rank.ITEM if own else Rank.RENAMED)


@lru_cache(maxsize=1024)
def _folders(path: str) -> tuple[tuple[str, ...], bool]:
    """The folders of a path as shown, and whether they are shown as they are."""
    folders = tuple(safe(part) for part in path.split("/"))
    if folders[0] == OLD:
        folders = (_escaped(OLD), *folders[1:])
    return folders, "/".join(folders) == path


def beside(name: str) -> str:
    """The name of the sidecar of a file that is shown under `name`."""
    return safe(name + SUFFIX)


def safe(part: str) -> str:
    """One part of a key as a name; the same if it can be one."""
    if part in ("", ".", ".."):
        return _escaped(part) or "%"
    if "\0" in part or not _encodable(part):
        part = "".join(c if c == "." else _escaped(c) for c in part)
    return part if len(part.encode()) <= MAX_BYTES else _shortened(part)


def _escaped(text: str) -> str:
    """`..` as %2E%2E, and so on."""
    return "".join(
        f"%{ord(c):02X}" if c in ".\0" else c if _encodable(c) else f"%u{ord(c):04X}" for c in text
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shortened(part: str) -> str:
    """The beginning, a word that tells long names apart, and the extension."""
    stem, dot, extension = part.rpartition(".")
    tail = f"~{sha256(part.encode()).hexdigest()[:12]}"
    if stem and len(extension.encode()) <= 16:
        tail += dot + extension
    else:
        stem = part
    return stem.encode()[: MAX_BYTES - len(tail.encode())].decode(errors="ignore") + tail
