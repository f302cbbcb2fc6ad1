"""Sets of annotations as the hub and its clients exchange them, docs/design.md, section 7."""

from __future__ import annotations

import re
from typing import Any

from syncd.annotation.model import Annotation, AnnotationSet
from syncd.annotation.read import WrongError, annotation, fields, operation, text
from syncd.annotation.write import plain

LARGEST = 8 * 1024 * 1024
"""Bytes of JSON that one operation may say about one item."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def to_json(some: AnnotationSet) -> dict[str, Any]:
    """A set as JSON's own types."""
    return {
        "item": some.item_id,
        "operation": some.operation,
        "model": some.model,
        "digest": some.digest,
        "annotations": [plain(one) for one in some.annotations],
    }


def from_json(raw: Any) -> AnnotationSet:
    """Back from JSON; WrongError with the way from this set."""
    given = fields(raw)
    return AnnotationSet(
        item_id=text(given.get("item"), "item"),
        operation=operation(given.get("operation"), "operation"),
        model=flag(given.get("model"), "model"),
        digest=digest(given.get("digest"), "digest"),
        annotations=several(given.get("annotations"), "annotations"),
    )


def several(raw: Any, *way: str | int) -> tuple[Annotation, ...]:
    """A list of annotations, or WrongError about the first that is wrong."""
    found = []
    for n, one in enumerate(listed(raw, *way)):
        try:
            found.append(annotation(one))
        except WrongError as error:
            raise WrongError(error.reason, *way, n, *error.way) from None
    return tuple(found)


def listed(raw: Any, *way: str | int) -> list[Any]:
    if not isinstance(raw, list):
        raise WrongError("must be a list" if raw is not None else "is missing", *way)
    return raw


def flag(raw: Any, *way: str | int) -> bool:
    if not isinstance(raw, bool):
        raise WrongError("must be true or false", *way)
    return raw


def digest(raw: Any, *way: str | int) -> str:
    if not isinstance(raw, str) or not _DIGEST.fullmatch(raw):
        raise WrongError("must be 64 lower-case hex digits", *way)
    return raw
