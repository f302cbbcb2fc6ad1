"""What a watch tells the engine: a path to look at, and nothing about what is there.

A module of its own, because whoever takes hints need not import the watch and watchdog with it,
which costs 100 ms.
"""

from __future__ import annotations

from syncd.value import value


@value
class Hint:
    """Something may have changed at `path`, relative to the root.

    `prompt`: whole as far as events can tell, look at once. `tree`: look at everything below it.
    Hidden names are never hinted, but for `.syncdignore`; names that are not UTF-8 neither.
    """

    path: str
    prompt: bool
    tree: bool
