"""One annotation: what is written reads back, and everything wrong says where it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.annotation.model import Annotation, Shape, Size, Value
from syncd.annotation.read import DECODER, WrongError, annotation, metadata, operation, pointer
from syncd.annotation.scale import to_pixels
from syncd.annotation.sets import from_json, to_json
from syncd.annotation.write import compact, plain
from tests.annotation.making import BOX, FIRST, LINE, POINTS, POLYGON, anything, marks, sets


@given(marks)
def test_what_is_written_reads_back(one):
    assert annotation(DECODER.decode(compact(plain(one)))) == one


@given(sets)
def test_a_set_reads_back(some):
    assert from_json(json.loads(json.dumps(to_json(some)))) == some


@given(st.lists(marks | st.just(annotation(LINE)), min_size=2, max_size=2))
def test_only_equal_annotations_become_equal_text(two):
    first, second = two
    if compact(plain(first)) == compact(plain(second)):
        assert first == second


@given(anything)
def test_whatever_json_can_say_is_read_or_refused_and_nothing_else(raw):
    for one in (raw, BOX | {"metadata": raw}, BOX | {"attributes": raw}, BOX | {"bbox": raw}):
        try:
            made = annotation(one)
        except WrongError as error:
            pointer(*error.way).encode()
        else:
            assert annotation(plain(made)) == made


def test_the_three_shapes_and_points():
    box = annotation(BOX)
    assert box == Annotation(
        shape=Shape.RECTANGLE, coordinates=(358, 239, 45, 16.5), label="sign", confidence=0.53,
        metadata={"weather": "rain"},
        attributes={"colour": (Value(value="red", confidence=0.35, metadata={"by": "x"}),)},
    )  # fmt: skip
    assert annotation(POLYGON).coordinates == (1, 2, 3.5, 4, 5, 6)
    assert annotation(LINE).shape is Shape.LINE
    assert annotation(POINTS).coordinates == (7, 8)
    untyped = {name: value for name, value in BOX.items() if name != "type"}
    assert annotation(untyped) == box, "only a rectangle has a bbox"


@pytest.mark.parametrize(
    ("raw", "where", "reason"),
    [
        (None, "", "must be an object"),
        ({}, "/type", "must be one of rectangle, polygon, line, points"),
        (BOX | {"type": "circle"}, "/type", "must be one of"),
        (BOX | {"type": []}, "/type", "must be one of"),
        ({k: v for k, v in POLYGON.items() if k != "type"}, "/type", "must be one of"),
        (BOX | {"type": "polygon"}, "/bbox", "is no field of a polygon"),
        (BOX | {"extra": 1}, "/extra", "goes to metadata"),
        (BOX | {"bbox": [1, 2, 3]}, "/bbox", "left, top, width and height"),
        (BOX | {"bbox": [1, 2, -3, 4]}, "/bbox/2", "cannot be negative"),
        (BOX | {"bbox": [1, True, 3, 4]}, "/bbox/1", "must be a number"),
        (BOX | {"bbox": ["1", 2, 3, 4]}, "/bbox/0", "must be a number"),
        (BOX | {"bbox": [1, 2, 3, float("nan")]}, "/bbox/3", "must be a finite number"),
        (BOX | {"bbox": [1, 2, 3, float("inf")]}, "/bbox/3", "must be a finite number"),
        (BOX | {"bbox": [1, 2, 3, 10**400]}, "/bbox/3", "further out"),
        (POLYGON | {"polygon": [[1, 2], [3, 4]]}, "/polygon", "at least 3 points"),
        (LINE | {"polygon": [[1, 2], [3, 4, 5]]}, "/polygon/1", "x and y"),
        (LINE | {"polygon": [[1, 2], [3, None]]}, "/polygon/1/1", "must be a number"),
        (POINTS | {"points": []}, "/points", "at least 1 points"),
        (BOX | {"label": ""}, "/label", "must be text"),
        ({k: v for k, v in BOX.items() if k != "label"}, "/label", "is missing"),
        (BOX | {"label": "x" * 1025}, "/label", "longer than 1024"),
        (BOX | {"label": "\ud800"}, "/label", "valid Unicode"),
        (BOX | {"confidence": 53}, "/confidence", "between 0 and 1"),
        (BOX | {"confidence": "high"}, "/confidence", "must be a number"),
        (BOX | {"metadata": []}, "/metadata", "must be an object"),
        (BOX | {"metadata": {"a/b": {"c~d": float("nan")}}}, "/metadata/a~1b/c~0d", "finite"),
        (BOX | {"metadata": {"\ud800": 1}}, "/metadata/\\ud800", "valid Unicode"),
        (BOX | {"attributes": {"a": {}}}, "/attributes/a", "must be a list"),
        (BOX | {"attributes": {"a": [1]}}, "/attributes/a/0", "must be an object"),
        (BOX | {"attributes": {"a": [{}]}}, "/attributes/a/0/value", "is missing"),
        (BOX | {"attributes": {"a": [{"value": 1, "x": 2}]}}, "/attributes/a/0/x", "no field"),
        (BOX | {"attributes": {"a": [{"value": 1, "confidence": 2}]}},
         "/attributes/a/0/confidence", "between 0 and 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_says_where_and_why(raw, where, reason):
    with pytest.raises(WrongError) as caught:
        annotation(raw)
    assert pointer(*caught.value.way) == where
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ('{"a": 1, "a": 2}', "", "has the key 'a' twice"),
        ('{"b": [{"c": 1, "c": 1}]}', "/b/0", "has the key 'c' twice"),
        ('{"a": 1e999}', "/a", "finite"),
        ('{"a": 18446744073709551616}', "/a", "more than 64 bits"),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", "/a" + "/0" * 31, "nested deeper than 32"),
    ],
)
def test_metadata_is_what_every_reader_can_keep(text, where, reason):
    with pytest.raises(WrongError) as caught:
        metadata(DECODER.decode(text))
    assert pointer(*caught.value.way) == where
    assert reason in caught.value.reason


@pytest.mark.parametrize("id", ["", "a\nb", "\x7f", "x" * 256, None, 7])
def test_an_operation_is_one_line_of_text(id):
    with pytest.raises(WrongError):
        operation(id)
    assert operation("yolov5.0.1 / läuft") == "yolov5.0.1 / läuft"


@pytest.mark.parametrize(
    "change",
    [{"item": ""}, {"digest": FIRST.upper()}, {"digest": "0"}, {"model": 1}, {"operation": None},
     {"annotations": {}}, {"annotations": [BOX, {}]}],
)  # fmt: skip
def test_a_set_that_is_none(change):
    whole = {"item": "i", "operation": "o", "model": True, "digest": FIRST, "annotations": [BOX]}
    assert from_json(whole).annotations == (annotation(BOX),)
    with pytest.raises(WrongError) as caught:
        from_json(whole | change)
    assert pointer(*caught.value.way).startswith(f"/{next(iter(change))}")


# --- normalised -----------------------------------------------------------------------------------

SIZE = Size(width=1920, height=1080)


def test_parts_of_a_picture_become_pixels():
    box = annotation(BOX | {"bbox": [0.5, 0.5, 0.25, 0.1]})
    line = annotation(LINE | {"polygon": [[0, 0], [1, 1], [0.07, 0.333333], [-0.5, 1.5]]})
    first, second = to_pixels((box, line), SIZE)
    assert first.coordinates == (960, 540, 480, 108)
    assert second.coordinates == (0, 0, 1920, 1080, 134.4, 359.9996, -960, 1620)
    assert (first.label, first.attributes, second.shape) == (box.label, box.attributes, Shape.LINE)


@pytest.mark.parametrize("value", [2.001, -1.001, 358])
def test_pixels_are_not_taken_for_parts(value):
    good, bad = (
        annotation(POINTS | {"points": [[0, 1]]}),
        annotation(POINTS | {"points": [[0, value]]}),
    )
    with pytest.raises(WrongError, match="is it in pixels") as caught:
        to_pixels((good, bad), SIZE)
    assert caught.value.way == (1,)
