"""How many of something, in words for a person."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """`1 file`, `2 files`; `many` is for what does not end in a mere s: `files are`."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
