"""Values that the command line and the configuration both take, held against one measure each.

Pure. Every function returns the value as it is used and raises UsageError with a sentence that
fits after the name of an option or of a key.
"""

from __future__ import annotations

import math
import re

from syncd.errors import NotFoundError, UsageError

MAX_NAME = 255
CACHE_SIZE = "10G"
"""What a mount may keep where nothing else is said."""
SHORTEST_S = 0.1
MOST_DAYS = 36_500
MOST_PORT = 65_535
SIDECARS = ("annotated", "all", "none")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {unit: 1024**n for n, unit in enumerate(("", "K", "M", "G", "T"))}


def dataset(name: str) -> str:
    """A name that a dataset can have, as it is."""
    fault = "is empty" if not name.strip() else None
    if name in (".", "..") or "/" in name or not name.isprintable():
        fault = "holds a slash or a control character, which the name of a dataset cannot"
    elif len(name.encode(errors="replace")) > MAX_NAME:
        fault = f"is longer than {MAX_NAME} bytes"
    if fault:
        raise UsageError(f"{fault}: name another dataset")
    return name


def checked_name(name: str) -> str:
    """As `dataset`, of one that was given with `--to` or came from a folder's name."""
    try:
        return dataset(name)
    except UsageError as error:
        raise UsageError(error.message, path=f"--to {name!r}") from None


def checked_key(key: str) -> str:
    """A key, or a folder of them, that can be there; raises NotFoundError for any other."""
    if any(part in (".", "..") for part in key.split("/")):
        raise NotFoundError("no name in a dataset is . or ..", path=key)
    return key


def cache_size(text: str) -> int:
    """Bytes of `10G`, `512 MiB`; each unit is 1024 of the one before."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r}: say a number, or one with K, M, G or T")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def mode(text: str) -> int:
    """The rights of what is shown; nobody can write there."""
    number = int(text, 8) if re.fullmatch("(0o)?[0-7]{1,4}", text) else -1
    if not 0 <= number <= 0o777 or number & 0o222:
        raise UsageError(f"{text!r}: say three octal digits without write, like 440")
    return number


def sidecars(text: str) -> str:
    """Beside which files annotations are shown."""
    if text not in SIDECARS:
        raise UsageError(f"{text!r}: say one of {', '.join(SIDECARS)}")
    return text


def seconds(value: float) -> float:
    """A time that is waited for."""
    if not SHORTEST_S <= value < math.inf:
        raise UsageError(f"{value}: say seconds, at least {SHORTEST_S}")
    return value


def days(number: float) -> float:
    """How long something is kept."""
    if not 0 <= number <= MOST_DAYS:
        raise UsageError(f"{number}: say days, from 0 to {MOST_DAYS}")
    return number


def room(number: int) -> int:
    """Bytes on a disk."""
    if not 0 <= number < 2**63:
        raise UsageError(f"{number}: say bytes, 0 or more")
    return number


def port(number: int) -> int:
    """Where something listens; 0 is any port that is free."""
    if not 0 <= number <= MOST_PORT:
        raise UsageError(f"{number}: say a port, from 0 to {MOST_PORT}")
    return number


def owner(number: int) -> int:
    """The number of a user or group."""
    if not 0 <= number < 2**32 - 1:
        raise UsageError(f"{number} is the number of no user or group")
    return number
