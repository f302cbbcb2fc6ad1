"""Many small bodies out of one answer of the hub: the client half of `POST .../fetch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncd import frame
from syncd.errors import GarbledError, MissingError, SyncdError
from syncd.model import Item
from syncd.remotes.wire import Wire

_GONE = "this version is not there any more"


def fetch(
    wire: Wire, path: str, items: Sequence[Item]
) -> Iterator[tuple[Item, bytes | SyncdError]]:
    """Ask for the items' digests in one request, and yield their bytes as they arrive."""
    if not items:
        return
    if any(item.digest is None for item in items):
        raise GarbledError("the hub told no digest to ask by")
    with wire.ask(path, {"digests": [item.digest for item in items]}) as read:
        try:
            for item, (_, body) in zip(items, frame.arriving(read), strict=True):
                yield item, MissingError(_GONE) if body is None else body
        except (frame.FrameError, ValueError) as error:
            raise GarbledError(f"the hub's answer cannot be understood: {error}") from error
