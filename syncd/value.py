"""Values that nobody changes: the decorator of every small object that is made once a file.

To the type checker `value` is `dataclass(frozen=True, slots=True, kw_only=True)`, which holds that
no line changes one. At run time nothing watches, because that costs: making a value of ten fields
took 1.3 µs frozen and 0.5 so, and a file takes a dozen values on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen: bool, slots: bool, kw_only: bool):
        """Make a class of values. The flags are written out for the type checker."""
        assert frozen  # noqa: S101 - so that what is said there is what is meant here
        return dataclass(slots=slots, kw_only=kw_only, unsafe_hash=True)
