"""Where the state of a mirror lies, by the folder it is about."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

FILE = "state.db"
LARGE = 16 * 1024 * 1024
"""Bytes of a state file that knows some 40,000 files."""


def folder_of(root: Path, remote: str, dataset: str) -> str:
    """The name of the state folder of one mirror: always the same one."""
    text = "\0".join((str(root), remote, dataset))
    return f"{slug(root)}-{sha256(text.encode(errors='surrogateescape')).hexdigest()[:12]}"


def slug(root: Path) -> str:
    """The word that the state folders of a folder's mirrors begin with."""
    return "".join(c if c.isalnum() else "-" for c in root.name)[:40] or "root"


def large(mirrors: Path, root: Path) -> bool:
    """Whether a folder seems to be known with so many files that listing them takes a while."""
    return any(file.stat().st_size > LARGE for file in mirrors.glob(f"{slug(root)}-*/{FILE}"))
