"""What people and models say about a picture, as values: shapes with labels, kept in sets.

Everything here is frozen and does no I/O. Coordinates are pixels of the picture as stored: its
orientation is recorded, not applied. A set is all that one operation (an annotation project, a
model's run) says about one item, and is only ever exchanged as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from syncd.value import value

SUFFIX = ".json"
"""What the name of a sidecar adds to that of its picture: `a.jpg.json` beside `a.jpg`."""
Number = int | float


class Shape(StrEnum):
    """What the coordinates of an annotation mean."""

    RECTANGLE = "rectangle"
    POLYGON = "polygon"
    LINE = "line"
    POINTS = "points"


@value
class Value:
    """One value of an attribute, with how sure its maker was of it (0 to 1)."""

    value: Any
    confidence: Number | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@value
class Annotation:
    """One shape with its label.

    `coordinates` of a rectangle are left, top, width, height; of the others x, y of each point in
    order. All are finite; a whole number is an int, so that equal values look equal.
    """

    shape: Shape
    coordinates: tuple[Number, ...]
    label: str
    confidence: Number | None = None
    attributes: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@value
class AnnotationSet:
    """All that one operation says about one item; without annotations, that it says nothing.

    `digest` is of the bytes it was made on, which need not be those the item has now; `model` is
    whether a program made it, not a person.
    """

    item_id: str
    operation: str
    model: bool
    digest: str
    annotations: tuple[Annotation, ...]


@value
class Size:
    """Width and height of a picture as stored, in pixels.

    `orientation` is EXIF's number of how it is to be turned to be seen upright, which coordinates
    know nothing of; None where the file records none.
    """

    width: int
    height: int
    orientation: int | None = None
