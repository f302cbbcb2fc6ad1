"""A set of row numbers in an eighth of a byte each: the numbers of a million rows in 125 KB."""

from __future__ import annotations

from collections.abc import Iterable


class Marks:
    """Whole numbers from 0; guarded by whoever shares it between threads."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray(1024)

    def add(self, number: int) -> None:
        at = number >> 3
        if at >= len(self._bits):
            self._bits.extend(bytes(max(at - len(self._bits) + 1, len(self._bits))))
        self._bits[at] |= 1 << (number & 7)

    def update(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.add(number)

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bits) and bool(self._bits[at] & 1 << (number & 7))
