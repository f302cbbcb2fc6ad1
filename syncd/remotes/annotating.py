"""The hub's calls about annotations, as the half of a `HubDataset` that speaks of them.

What is many travels in requests of a bounded size, both ways; the hub says how far an answer
goes, and the rest is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from syncd.annotation.model import AnnotationSet, Size
from syncd.annotation.read import WrongError, pointer
from syncd.annotation.sets import LARGEST, from_json, to_json
from syncd.annotation.write import compact
from syncd.errors import GarbledError, RejectedError
from syncd.model import Item
from syncd.remotes import answers
from syncd.remotes.base import Outcome
from syncd.remotes.wire import Body, Wire

T = TypeVar("T")
REQUEST = 4 * 1024 * 1024
"""Bytes of sets in one request, unless a single one is larger."""
SETS = 2_000
_TOO_LARGE = f"more than {LARGEST >> 20} MiB of annotations of one operation"
IDS = 2_000


class Annotating:
    """`Annotates` of syncd/remotes/base.py, against a hub."""

    _wire: Wire
    _path: str
    _source: str

    def annotate(self, batch: Sequence[AnnotationSet]) -> Sequence[Outcome]:
        outcomes: list[Outcome] = []
        for sets, body in _requests(batch):
            if len(body) > LARGEST + REQUEST:
                outcomes.append(Outcome(key=sets[0].item_id, error=RejectedError(_TOO_LARGE)))
                continue
            answer = self._wire.json(
                "POST", f"{self._path}/annotations", query=self._who(), wait=60,
                content=Body(type="application/json", length=len(body), pieces=(body,)),
            )  # fmt: skip
            results = answers.results(answer, len(sets))
            outcomes += [answers.outcome(s.item_id, r) for s, r in zip(sets, results, strict=True)]
        return outcomes

    def annotations(
        self, items: Sequence[Item]
    ) -> Iterator[tuple[Item, tuple[AnnotationSet, ...]]]:
        return self._all("annotations/read", items, _told)

    def sizes(self, items: Sequence[Item]) -> Iterator[tuple[Item, Size | None]]:
        return self._all("sizes", items, _sized)

    def _all(
        self, call: str, items: Sequence[Item], read: Callable[[Item, dict[str, Any]], T]
    ) -> Iterator[tuple[Item, T]]:
        ids = [item.id for item in items]
        at = 0
        while at < len(ids):
            answer = self._wire.json(
                "POST", f"{self._path}/{call}", body={"ids": ids[at : at + IDS]}, wait=60
            )
            done = answers.whole(answer, "done")
            if not 0 < done <= len(ids) - at:
                raise GarbledError("the hub's answer does not get any further")
            at += done
            for found in answers.listed(answer, "items"):
                if not isinstance(found, dict):
                    raise GarbledError("an item in the hub's answer is no object")
                item = answers.item(found.get("item", {}))
                yield item, read(item, found)

    def _who(self) -> dict[str, str]:
        return {"source": self._source} if self._source else {}


def _requests(batch: Sequence[AnnotationSet]) -> Iterator[tuple[list[AnnotationSet], bytes]]:
    """The sets in order, so many at a time that a request stays small, with its body."""
    sets: list[AnnotationSet] = []
    texts: list[bytes] = []
    length = 0
    for some in batch:
        text = compact(to_json(some)).encode()
        if sets and (length + len(text) > REQUEST or len(sets) == SETS):
            yield sets, _body(texts)
            sets, texts, length = [], [], 0
        sets.append(some)
        texts.append(text)
        length += len(text)
    if sets:
        yield sets, _body(texts)


def _body(texts: list[bytes]) -> bytes:
    return b'{"sets":[' + b",".join(texts) + b"]}"


def _told(item: Item, found: dict[str, Any]) -> tuple[AnnotationSet, ...]:
    try:
        return tuple(from_json(raw | {"item": item.id}) for raw in answers.listed(found, "sets"))
    except (WrongError, TypeError) as error:
        where = pointer(*error.way) if isinstance(error, WrongError) else ""
        raise GarbledError(
            f"the hub's annotations of {item.key} make no sense: {where} {error}"
        ) from error


def _sized(_item: Item, found: dict[str, Any]) -> Size | None:
    width, height, turn = (found.get(name) for name in ("width", "height", "orientation"))
    if type(width) is not int or type(height) is not int:
        return None
    return Size(width=width, height=height, orientation=turn if type(turn) is int else None)
