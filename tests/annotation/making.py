"""Annotations for tests: some by hand, and strategies that make any that can be."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st

from syncd.annotation.model import Annotation, AnnotationSet, Shape, Value
from syncd.annotation.read import FEWEST, number
from syncd.model import Item

FIRST, SECOND = (sha256(word).hexdigest() for word in (b"first", b"second"))

BOX: dict[str, Any] = {
    "type": "rectangle", "bbox": [358, 239, 45, 16.5], "label": "sign", "confidence": 0.53,
    "metadata": {"weather": "rain"},
    "attributes": {"colour": [{"value": "red", "confidence": 0.35, "metadata": {"by": "x"}}]},
}  # fmt: skip
POLYGON: dict[str, Any] = {
    "type": "polygon", "polygon": [[1, 2], [3.5, 4], [5, 6]], "label": "road", "metadata": {},
}  # fmt: skip
LINE: dict[str, Any] = POLYGON | {"type": "line", "label": "lane"}
POINTS: dict[str, Any] = {"type": "points", "points": [[7, 8]], "label": "eye"}


def item(key: str = "a/b.jpg", **more: Any) -> Item:
    return replace(Item(key=key, id="i1", digest=FIRST, version=1), **more)


def document(*entries: Any, **rest: Any) -> bytes:
    return json.dumps({"images": list(entries)} | rest).encode()


def image(name: str, *annotations: Any) -> dict[str, Any]:
    return {"image": name, "annotations": list(annotations)}


# --- anything -------------------------------------------------------------------------------------

text = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = (st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9)).map(number)
sure = st.none() | st.floats(0, 1).map(number)
scalars = (
    st.none() | st.booleans() | text | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).map(number)
)  # fmt: skip
anything = st.recursive(
    scalars, lambda some: st.lists(some, max_size=3) | st.dictionaries(text, some, max_size=3),
    max_leaves=6,
)  # fmt: skip
metadata = st.dictionaries(text, anything, max_size=3)
values = st.builds(Value, value=anything, confidence=sure, metadata=metadata)


def coordinates(shape: Shape) -> st.SearchStrategy[tuple[Any, ...]]:
    if shape is Shape.RECTANGLE:
        length = numbers.map(abs)
        return st.tuples(numbers, numbers, length, length)
    points = st.lists(st.tuples(numbers, numbers), min_size=FEWEST[shape], max_size=5)
    return points.map(lambda some: tuple(value for point in some for value in point))


marks = st.sampled_from(Shape).flatmap(
    lambda shape: st.builds(
        Annotation,
        shape=st.just(shape),
        coordinates=coordinates(shape),
        label=text.filter(bool),
        confidence=sure,
        attributes=st.dictionaries(text, st.lists(values, max_size=2).map(tuple), max_size=2),
        metadata=metadata,
    )
)
operations = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1,
                     max_size=8)  # fmt: skip
sets = st.builds(
    AnnotationSet, item_id=st.just("i1"), operation=operations, model=st.booleans(),
    digest=st.sampled_from([FIRST, SECOND]),
    annotations=st.lists(marks, min_size=1, max_size=3).map(tuple),
)  # fmt: skip
several = st.lists(sets, max_size=3, unique_by=lambda some: some.operation)
