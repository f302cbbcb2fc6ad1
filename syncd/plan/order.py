"""In which order items can be given new keys when they want each other's.

Called by the engine's workers for a batch of moves. A key has at most one item that holds it and
one that wants it, so what is connected is a path, done from its free end, or a circle, in which
one item has to step aside first.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.value import value


@value
class Order:
    """Numbers of the moves given: the ones to put aside before all, then all in turn."""

    aside: tuple[int, ...]
    turns: tuple[int, ...]


def in_order(moves: Sequence[tuple[str, str]]) -> Order:
    """Order moves, as (key now, key wanted), such that each finds its key free."""
    holder = {old: number for number, (old, _) in enumerate(moves)}
    aside: list[int] = []
    turns: dict[int, None] = {}
    for first in range(len(moves)):
        trail: dict[int, None] = {}
        number: int | None = first
        while number is not None and number not in turns and number not in trail:
            trail[number] = None
            old, new = moves[number]
            number = holder.get(new) if new != old else None
        if number is not None and number in trail:
            aside.append(number)
        turns |= dict.fromkeys(reversed(trail))
    return Order(aside=tuple(aside), turns=tuple(turns))
