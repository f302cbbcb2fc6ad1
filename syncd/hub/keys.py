"""What a key, a dataset name and a digest may look like: the hub's one place that says so.

Keys are case-sensitive and byte-exact: composed and decomposed letters make two keys, newlines
and emoji are fine. A key never becomes a path on the hub's disk; the rules keep it a path that
any client could write below a folder of its own.
"""

from __future__ import annotations

import re

MAX_KEY = 4096
MAX_NAME = 255
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BadNameError(ValueError):
    """A key, dataset name or digest the hub will never take; the text says why."""


def split(key: object) -> tuple[str, str]:
    """Take a key apart into (folder, name), the root folder being "".

    Raises BadNameError for whatever could not be one file below one folder.
    """
    if type(key) is not str:
        raise BadNameError("a key must be text")
    if not key.isascii() or len(key) > MAX_NAME or "\0" in key:
        _check_bytes(key)
    folder, _, name = key.rpartition("/")
    if not name or name in (".", ".."):
        raise BadNameError("a key must end in a name")
    if folder or key[0] == "/":
        _check_segments(folder.split("/"))
    return folder, name


def folder(text: str) -> str:
    """Bring "/", "/a/b", "a/b" or "a/b/" to how folders are kept: "" or "a/b"."""
    encoded(text)
    return text.strip("/")


def dataset(name: str) -> str:
    """Give back a dataset's name if it can be one; raise BadNameError otherwise."""
    if not name or name in (".", "..") or "/" in name or len(encoded(name)) > MAX_NAME:
        raise BadNameError("a dataset's name is 1 to 255 bytes without a slash")
    if "\0" in name:
        raise BadNameError("a dataset's name cannot hold a zero byte")
    return name


def digest(text: object) -> bytes:
    """Turn 64 lower-case hex digits into the 32 bytes the catalogue keeps."""
    if type(text) is not str or not _DIGEST.fullmatch(text):
        raise BadNameError("a digest is 64 lower-case hex digits")
    return bytes.fromhex(text)


def _check_bytes(key: str) -> None:
    if "\0" in key:
        raise BadNameError("a key cannot hold a zero byte")
    if len(encoded(key)) > MAX_KEY:
        raise BadNameError(f"a key is at most {MAX_KEY} bytes long")
    if any(len(encoded(part)) > MAX_NAME for part in key.split("/")):
        raise BadNameError(f"a name is at most {MAX_NAME} bytes long")


def _check_segments(parts: list[str]) -> None:
    for part in parts:
        if not part:
            raise BadNameError("a key cannot start with a slash or hold two in a row")
        if part in (".", ".."):
            raise BadNameError("a key cannot hold . or .. as a folder")


def encoded(text: str) -> bytes:
    """A name's UTF-8 bytes; BadNameError where it has none, as with lone surrogates."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadNameError("a name must be valid Unicode") from error
