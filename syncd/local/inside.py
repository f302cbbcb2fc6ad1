"""The one function that turns a name from elsewhere into a path below a folder."""

from __future__ import annotations

from pathlib import Path

from syncd.errors import NameRefusedError


def inside(folder: Path, key: str) -> Path:
    """The path of a remote's key below `folder`; raises NameRefusedError for one that would
    leave it, through `..`, an absolute path, a NUL or a link on the way."""
    parts = key.split("/")
    if not key or "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise NameRefusedError("is not a name that can be written below a folder", path=repr(key))
    place = folder.joinpath(*parts)
    real = folder.resolve()
    above = place.parent.resolve()
    if above != real and real not in above.parents:
        raise NameRefusedError("a link leads out of the folder", path=str(place))
    return place
