"""From annotations to JSON; `read` takes it back. Equal annotations become equal text."""

from __future__ import annotations

import json
from typing import Any

from syncd.annotation.model import Annotation, Number, Shape, Value
from syncd.annotation.read import FIELDS

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def plain(annotation: Annotation) -> dict[str, Any]:
    """An annotation as JSON's own types; what is empty is left out."""
    made: dict[str, Any] = {
        "type": str(annotation.shape),
        FIELDS[annotation.shape]: _coordinates(annotation),
        "label": annotation.label,
    }
    if annotation.confidence is not None:
        made["confidence"] = annotation.confidence
    if annotation.attributes:
        made["attributes"] = {
            name: [_value(value) for value in values]
            for name, values in annotation.attributes.items()
        }
    if annotation.metadata:
        made["metadata"] = dict(annotation.metadata)
    return made


def compact(value: Any) -> str:
    """JSON in one line, its keys in order."""
    return _ENCODER.encode(value)


def _coordinates(annotation: Annotation) -> list[Any]:
    flat: list[Number] = list(annotation.coordinates)
    if annotation.shape is Shape.RECTANGLE:
        return flat
    return [flat[n : n + 2] for n in range(0, len(flat), 2)]


def _value(value: Value) -> dict[str, Any]:
    made: dict[str, Any] = {"value": value.value}
    if value.confidence is not None:
        made["confidence"] = value.confidence
    if value.metadata:
        made["metadata"] = dict(value.metadata)
    return made
