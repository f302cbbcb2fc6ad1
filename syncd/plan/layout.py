"""Where a path belongs in the dataset, and what it is called where that name is taken.

Called by the planner for every candidate. Keys follow from the path and the policy alone, so the
same file gets the same names on every run and every machine. The names that `alternates` and
`suffixed` give carry the path's own folders: two files of one name in two folders never compete
for the second candidate.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import count

from syncd.errors import NameRefusedError
from syncd.model import Layout, Policy

MAX_NAME_BYTES = 255
_NO_NAMES = frozenset(("", ".", ".."))
_MAX_EXTENSION_BYTES = 32
_MAX_SOURCE_BYTES = 64


def place(path: str, policy: Policy) -> str:
    """The key a path has by layout alone; raise NameRefusedError where it cannot be carried."""
    folder, _, name = _parts(path, policy)
    return _key(folder, name)


def alternates(path: str, policy: Policy) -> Iterator[str]:
    """Yield the keys a path may have, the best first and without end; all are distinct."""
    return _series(path, policy, "")


def suffixed(path: str, policy: Policy) -> Iterator[str]:
    """Yield the keys a path may have beside another source's item, as `name~source`."""
    source = policy.source.replace("/", "-").replace("\0", "-")
    return _series(path, policy, "~" + _cut(source, _MAX_SOURCE_BYTES))


def around(path: str, policy: Policy) -> tuple[str, str]:
    """What the keys of a path beside another source's item begin and end with, whatever this side
    is called; names that have to be cut are not among them."""
    folder, _, name = _parts(path, policy)
    stem, extension = _split(name)
    return _key(folder, f"{stem}~"), extension


def _series(path: str, policy: Policy, tail: str) -> Iterator[str]:
    folder, collapsed, name = _parts(path, policy)
    stem, extension = _split(name)
    chain = "".join(f"~{segment}" for segment in collapsed)
    yield _key(folder, _fit(path, stem, tail, extension))
    if chain:
        yield _key(folder, _fit(path, stem + chain, tail, extension))
    for number in count(2):  # pragma: no branch: it has no end
        yield _key(folder, _fit(path, stem + chain, f"{tail}~{number}", extension))


def _parts(path: str, policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Split into the key's folders, the folders the layout drops, and the name."""
    segments = _checked(path)
    kept = {Layout.FIRST_LEVEL: 1, Layout.TREE: len(segments), Layout.FLAT: 0}[policy.layout]
    folders = segments[:-1]
    prefix = tuple(policy.prefix.split("/")) if policy.prefix else ()
    return prefix + folders[:kept], folders[kept:], segments[-1]


def _checked(path: str) -> tuple[str, ...]:
    segments = tuple(path.split("/"))
    if len(path) > MAX_NAME_BYTES or not path.isascii():
        _measure(path, segments)
    if "\0" in path:
        raise NameRefusedError("the name holds a NUL character: rename it", path=path)
    if not _NO_NAMES.isdisjoint(segments):
        message = "the path holds an empty, `.` or `..` segment: give it without"
        raise NameRefusedError(message, path=path)
    return segments


def _measure(path: str, segments: tuple[str, ...]) -> None:
    """Refuse names that are too long, or no text."""
    try:
        longest = max(len(segment.encode()) for segment in segments)
    except UnicodeEncodeError as error:
        message = "the name is not valid UTF-8 and cannot be carried: rename it"
        raise NameRefusedError(message, path=path) from error
    if longest > MAX_NAME_BYTES:
        message = f"a name in it is longer than {MAX_NAME_BYTES} bytes: shorten it"
        raise NameRefusedError(message, path=path)


def _key(folder: tuple[str, ...], name: str) -> str:
    return "/".join((*folder, name))


def _split(name: str) -> tuple[str, str]:
    """Split off the last suffix; a dot at an end or a very long suffix belongs to the stem."""
    dot = name.rfind(".")
    extension = name[dot:]
    if dot <= 0 or extension == "." or len(extension.encode()) > _MAX_EXTENSION_BYTES:
        return name, ""
    return name[:dot], extension


def _fit(path: str, stem: str, tail: str, extension: str) -> str:
    """Join the parts of a name; one that is too long has its stem cut and the path's hash added."""
    room = MAX_NAME_BYTES - len((tail + extension).encode())
    if len(stem.encode()) > room:
        mark = "~" + sha256(path.encode()).hexdigest()[:8]
        stem = _cut(stem, room - len(mark)) + mark
    return stem + tail + extension


def _cut(text: str, size: int) -> str:
    return text.encode(errors="replace")[:size].decode(errors="ignore")
