"""From normalised coordinates, parts of the picture's width and height, to pixels."""

from __future__ import annotations

from dataclasses import replace

from syncd.annotation.model import Annotation, Number, Size
from syncd.annotation.read import WrongError

DIGITS = 4
"""What is finer than a ten-thousandth of a pixel is the noise of the multiplication."""
SLACK = 1.0
"""Shapes may reach over the picture's edge by as much again; beyond, these are no parts of it."""


def to_pixels(some: tuple[Annotation, ...], size: Size) -> tuple[Annotation, ...]:
    """The same shapes in pixels; WrongError, with the way from the list, where a coordinate can be
    no part of a picture."""
    return tuple(_scaled(one, n, size) for n, one in enumerate(some))


def _scaled(one: Annotation, number: int, size: Size) -> Annotation:
    for value in one.coordinates:
        if not -SLACK <= value <= 1 + SLACK:
            raise WrongError(f"{value} is no normalised coordinate; is it in pixels?", number)
    lengths = (size.width, size.height)
    return replace(
        one,
        coordinates=tuple(_pixels(v, lengths[n % 2]) for n, v in enumerate(one.coordinates)),
    )


def _pixels(part: Number, length: int) -> Number:
    value = round(part * length, DIGITS)
    return int(value) if float(value).is_integer() else value
