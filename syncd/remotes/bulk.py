"""Many small bodies out of one answer of the hub: the client half of `POST .../fetch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncd import frame
from syncd.errors import GarbledError, MissingError, SyncdError, TransientError
from syncd.model import Item
from syncd.remotes.wire import Wire


def fetch(
    wire: Wire, path: str, items: Sequence[Item]
) -> Iterator[tuple[Item, bytes | SyncdError]]:
    """Ask for the items' digests in one request, and yield their bytes as they arrive."""
    if not items:
        return
    if any(item.digest is None for item in items):
        raise GarbledError("the hub told no digest to ask by")
    arriving = _Arriving(wire.ask(path, {"digests": [item.digest for item in items]}))
    answers = frame.arriving(arriving.read)
    try:
        for item, (_, body) in zip(items, answers, strict=True):
            yield item, MissingError("this version is not there any more") if body is None else body
    except (frame.FrameError, ValueError) as error:
        raise GarbledError(f"the hub's answer cannot be understood: {error}") from error
    finally:
        arriving.close()


class _Arriving:
    """Bytes of an answer in the lengths they are asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self._at = 0

    def read(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._held):
            self._more(length)
            end = length
        found = self._held[self._at : end]
        self._at = end
        return found

    def _more(self, length: int) -> None:
        parts = [self._held[self._at :]]
        have = len(parts[0])
        while have < length:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise TransientError("the hub broke off its answer")
            parts.append(chunk)
            have += len(chunk)
        self._held, self._at = b"".join(parts), 0

    def close(self) -> None:
        """Let go of the connection, also where the rest is not wanted."""
        close = getattr(self._chunks, "close", None)
        if close:
            close()
