"""From JSON, as it was parsed, to annotations; `write` is the way back.

What is read was written by others, so nothing is believed: what does not fit is `WrongError`, with
the way to it from the value that was given. Objects are expected as `pairs` makes them, so that
a key given twice is seen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from syncd.annotation.model import Annotation, Number, Shape, Value

FIELDS = {Shape.RECTANGLE: "bbox", Shape.POLYGON: "polygon", Shape.LINE: "polygon",
          Shape.POINTS: "points"}  # fmt: skip
"""Where an annotation of each shape has its coordinates."""
FEWEST = {Shape.POLYGON: 3, Shape.LINE: 2, Shape.POINTS: 1}
FURTHEST = 10**9
"""Pixels from the origin: further out no picture reaches."""
DEEPEST = 32
MAX_TEXT = 1024
MAX_OPERATION = 255
COMMON = {"type", "label", "confidence", "attributes", "metadata"}
OPERATION, MODEL = "operation_unique_id", "is_model_run"
ORIGIN = {OPERATION, MODEL}
"""Whose an annotation is; read by whoever reads the whole, since it belongs to the set."""


class WrongError(ValueError):
    """A value is not what it should be; `way` leads to it, by keys and indices."""

    def __init__(self, reason: str, *way: str | int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.way = way


class Doubled(dict[str, Any]):
    """An object in which a key was given twice."""

    key = ""


def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs (`object_pairs_hook`)."""
    made = dict(found)
    if len(made) == len(found):
        return made
    doubled = Doubled(made)
    names = [name for name, _ in found]
    doubled.key = next(name for name in names if names.count(name) > 1)
    return doubled


DECODER = json.JSONDecoder(object_pairs_hook=pairs)


def pointer(*way: str | int) -> str:
    """The JSON pointer (RFC 6901) of a way from the top."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in way)


def annotation(raw: Any) -> Annotation:
    """Read one annotation; WrongError."""
    given = fields(raw)
    shape = _shape(given)
    place = FIELDS[shape]
    for name in given.keys() - COMMON - ORIGIN - {place}:
        raise WrongError(
            f"is no field of a {shape}; what else is to be kept goes to metadata", name
        )
    coordinates = _box if shape is Shape.RECTANGLE else _points
    return Annotation(
        shape=shape,
        coordinates=coordinates(given.get(place), place, FEWEST.get(shape, 0)),
        label=text(given.get("label"), "label"),
        confidence=_confidence(given.get("confidence"), "confidence"),
        attributes=_attributes(given.get("attributes")),
        metadata=metadata(given.get("metadata"), "metadata"),
    )


def fields(raw: Any, *way: str | int) -> dict[str, Any]:
    """An object none of whose keys was given twice."""
    if not isinstance(raw, dict):
        raise WrongError("must be an object", *way)
    if isinstance(raw, Doubled):
        raise WrongError(f"has the key {raw.key!r} twice", *way)
    return raw


def text(raw: Any, *way: str | int, most: int = MAX_TEXT) -> str:
    """Text that is not empty, at most `most` characters and can be written as UTF-8."""
    if not isinstance(raw, str) or not raw:
        raise WrongError("must be text" if raw is not None else "is missing", *way)
    if len(raw) > most:
        raise WrongError(f"is longer than {most} characters", *way)
    _unicode(raw, way)
    return raw


def operation(raw: Any, *way: str | int) -> str:
    """The id of an operation: one line of text."""
    id = text(raw, *way, most=MAX_OPERATION)
    if any(ord(char) < 32 or ord(char) == 127 for char in id):
        raise WrongError("cannot hold control characters", *way)
    return id


def metadata(raw: Any, *way: str | int) -> dict[str, Any]:
    """An object of whatever JSON can say; none is an empty one."""
    return {} if raw is None else _plain(fields(raw, *way), way, 0)


def number(raw: Any, *way: str | int) -> Number:
    """A finite number; a whole one as an int."""
    if type(raw) is int:
        return raw
    if type(raw) is not float:
        raise WrongError("must be a number", *way)
    if not isfinite(raw):
        raise WrongError("must be a finite number", *way)
    return int(raw) if raw.is_integer() and abs(raw) < 2**53 else raw


def _shape(given: dict[str, Any]) -> Shape:
    named = given.get("type")
    if named is None and "bbox" in given:
        return Shape.RECTANGLE
    for shape in Shape:
        if shape == named:
            return shape
    raise WrongError(f"must be one of {', '.join(Shape)}", "type")


def _box(raw: Any, place: str, _fewest: int) -> tuple[Number, ...]:
    if not isinstance(raw, list) or len(raw) != 4:
        raise WrongError("must be a list of left, top, width and height", place)
    box = tuple(_coordinate(value, place, n) for n, value in enumerate(raw))
    for n in (2, 3):
        if box[n] < 0:
            raise WrongError("a width or height cannot be negative", place, n)
    return box


def _points(raw: Any, place: str, fewest: int) -> tuple[Number, ...]:
    if not isinstance(raw, list) or len(raw) < fewest:
        raise WrongError(f"must be a list of at least {fewest} points", place)
    for n, point in enumerate(raw):
        if not isinstance(point, list) or len(point) != 2:
            raise WrongError("a point is a list of x and y", place, n)
    return tuple(_coordinate(v, place, n, i) for n, p in enumerate(raw) for i, v in enumerate(p))


def _coordinate(raw: Any, *way: str | int) -> Number:
    value = number(raw, *way)
    if abs(value) > FURTHEST:
        raise WrongError(f"lies further out than {FURTHEST} pixels", *way)
    return value


def _confidence(raw: Any, *way: str | int) -> Number | None:
    if raw is None:
        return None
    value = number(raw, *way)
    if not 0 <= value <= 1:
        raise WrongError("must lie between 0 and 1", *way)
    return value


def _attributes(raw: Any) -> dict[str, tuple[Value, ...]]:
    if raw is None:
        return {}
    found: dict[str, tuple[Value, ...]] = {}
    for name, values in fields(raw, "attributes").items():
        _unicode(name, ("attributes", name))
        if not isinstance(values, list):
            raise WrongError("must be a list of values", "attributes", name)
        found[name] = tuple(_value(v, "attributes", name, n) for n, v in enumerate(values))
    return found


def _value(raw: Any, *way: str | int) -> Value:
    given = fields(raw, *way)
    for name in given.keys() - {"value", "confidence", "metadata"}:
        raise WrongError("is no field of an attribute's value", *way, name)
    if "value" not in given:
        raise WrongError("is missing", *way, "value")
    return Value(
        value=_plain(given["value"], (*way, "value"), 0),
        confidence=_confidence(given.get("confidence"), *way, "confidence"),
        metadata=metadata(given.get("metadata"), *way, "metadata"),
    )


def _plain(raw: Any, way: Sequence[str | int], depth: int) -> Any:
    """Any JSON value, checked all the way down."""
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        return _unicode(raw, way)
    if depth == DEEPEST:
        raise WrongError(f"is nested deeper than {DEEPEST}", *way)
    if isinstance(raw, dict):
        for name in fields(raw, *way):
            _unicode(name, (*way, name))
        return {name: _plain(below, (*way, name), depth + 1) for name, below in raw.items()}
    if isinstance(raw, list):
        return [_plain(below, (*way, n), depth + 1) for n, below in enumerate(raw)]
    value = number(raw, *way)
    if type(value) is int and not -(2**63) <= value < 2**64:
        raise WrongError("is a number of more than 64 bits", *way)
    return value


def _unicode(raw: str, way: Sequence[str | int]) -> str:
    if not raw.isascii():
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise WrongError("must be valid Unicode", *map(_shown, way)) from None
    return raw


def _shown(step: str | int) -> str | int:
    return step.encode(errors="backslashreplace").decode() if isinstance(step, str) else step
