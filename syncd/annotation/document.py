"""The JSON document that brings annotations: `{"images": [{"image", "annotations"}, ...]}`.

A document may be large: it is looked through once for syntax, and each entry is parsed again when
it is asked for, so that memory does not grow with what the entries say. Used for `syncd annotate`
and for sidecars; no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from syncd.annotation.model import Annotation
from syncd.annotation.read import DECODER, WrongError, annotation, fields, pointer, text
from syncd.annotation.sets import listed
from syncd.errors import FormatError
from syncd.value import value

IMAGES = "images"
SPACE = " \t\n\r"
MAX_NAME = 8192


@value
class Fault:
    """What is wrong, where in the document, and with which image (where that could be read)."""

    pointer: str
    reason: str
    image: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.pointer, self.image, self.reason) if part)


@value
class Entry:
    """What the document says about one image; where there are faults, nothing of it counts."""

    pointer: str
    image: str
    annotations: tuple[Annotation, ...] = ()
    raw: tuple[Any, ...] = ()
    """The annotations as they stand there, for what is not the annotation's own."""
    metadata: Any = None
    """What it says of the image itself, as it stands there."""
    faults: tuple[Fault, ...] = ()


class Document:
    """A document whose syntax was found good; `rest` are the values beside `images`."""

    def __init__(self, data: bytes) -> None:
        """Raises FormatError where this is no such document at all."""
        self._text = _decoded(data)
        self.rest: dict[str, Any] = {}
        self.images: list[str] = []
        """What the entries call their images, where they do."""
        self._starts: list[int] | None = None
        self._end(self._walk() if self._text[0] == "{" else _value(self._text, 0, ())[1])

    @property
    def listed(self) -> bool:
        """Whether it has a list of images at all."""
        return self._starts is not None

    def __len__(self) -> int:
        return len(self._starts or ())

    def __iter__(self) -> Iterator[Entry]:
        """Each entry, parsed when it is its turn."""
        for number in range(len(self)):
            yield entry(self.raw(number), number)

    def raw(self, number: int) -> Any:
        """One element of the list of images, as it stands there."""
        starts = self._starts or []
        return _value(self._text, starts[number], (IMAGES, number))[0]

    def _walk(self) -> int:
        at = _past(self._text, 1)
        while True:
            if self._text[at : at + 1] == "}" and not self.rest and self._starts is None:
                break
            name, at = _value(self._text, at, ())
            if not isinstance(name, str):
                raise _torn("a key must be text", self._text, at, ())
            at = self._member(name, _expect(self._text, at, ":", ()))
            if self._text[at : at + 1] != ",":
                break
            at = _past(self._text, at + 1)
        return _expect(self._text, at, "}", ())

    def _end(self, at: int) -> None:
        if at != len(self._text):
            raise _torn("there is more after the end", self._text, at, ())

    def _member(self, name: str, at: int) -> int:
        if name in self.rest or (name == IMAGES and self._starts is not None):
            raise FormatError(f"the key {name!r} is there twice")
        if name == IMAGES and self._text[at : at + 1] == "[":
            self._starts = []
            at = self._elements(at, self._starts)
        else:
            self.rest[name], at = _value(self._text, at, (name,))
        return _past(self._text, at)

    def _elements(self, at: int, starts: list[int]) -> int:
        """Note where each element of the list of images begins; where the list ends."""
        at = _past(self._text, at + 1)
        while self._text[at : at + 1] != "]" or starts:
            value, end = _value(self._text, at, (IMAGES, len(starts)))
            starts.append(at)
            if isinstance(value, dict) and isinstance(value.get("image"), str):
                self.images.append(value["image"])
            if self._text[end : end + 1] != ",":
                at = end
                break
            at = _past(self._text, end + 1)
        return _expect(self._text, at, "]", (IMAGES, len(starts)))


def entry(raw: Any, number: int) -> Entry:
    """Read what is said about one image, with everything that is wrong with it."""
    at, image = pointer(IMAGES, number), ""
    try:
        given = fields(raw)
        image = text(given.get("image"), "image", most=MAX_NAME)
        for name in given.keys() - {"image", "annotations", "metadata"}:
            raise WrongError("is no field of an image", name)
        some = listed(given.get("annotations"), "annotations")
    except WrongError as error:
        return Entry(pointer=at, image=image, faults=(_fault(error, at, image),))
    read, faults = _read(some, f"{at}/annotations", image)
    return Entry(
        pointer=at, image=image, annotations=tuple(read), raw=tuple(some),
        metadata=given.get("metadata"), faults=tuple(faults),
    )  # fmt: skip


def _read(some: list[Any], at: str, image: str) -> tuple[list[Annotation], list[Fault]]:
    found, faults = [], []
    for n, one in enumerate(some):
        try:
            found.append(annotation(one))
        except WrongError as error:
            faults.append(_fault(error, f"{at}/{n}", image))
    return found, faults


def _fault(error: WrongError, at: str, image: str) -> Fault:
    return Fault(pointer=at + pointer(*error.way), image=image, reason=error.reason)


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FormatError("is UTF-16: JSON is written in UTF-8")
    try:
        text = data.decode("utf-8-sig").strip(SPACE)
    except UnicodeDecodeError as error:
        raise FormatError(f"is not UTF-8: byte {error.start} does not fit") from None
    if not text:
        raise FormatError("is empty: JSON was expected")
    return text


def _value(text: str, at: int, way: tuple[str | int, ...]) -> tuple[Any, int]:
    try:
        value, end = DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise _torn(error.msg, text, error.pos, way) from None
    except RecursionError:
        raise _torn("is nested too deeply", text, at, way) from None
    except ValueError:
        raise _torn("holds a number of too many digits", text, at, way) from None
    return value, _past(text, end)


def _expect(text: str, at: int, char: str, way: tuple[str | int, ...]) -> int:
    if text[at : at + 1] != char:
        raise _torn(f"{char!r} was expected", text, at, way)
    return _past(text, at + 1)


def _past(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def _torn(reason: str, text: str, at: int, way: tuple[str | int, ...]) -> FormatError:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    where = f" in {pointer(*way)}" if way else ""
    return FormatError(f"is not JSON{where}: {reason}, line {line} column {column}")
