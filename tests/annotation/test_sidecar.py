"""Sidecars: what is shown parses to the very same, and everything wrong says where."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from syncd.annotation import sidecar
from syncd.annotation.model import AnnotationSet, Size
from syncd.annotation.read import annotation
from syncd.errors import FormatError
from tests.annotation.making import BOX, FIRST, LINE, SECOND, document, image, item, several


def made(operation: str, *raw, model: bool = False, digest: str = FIRST) -> AnnotationSet:
    return AnnotationSet(
        item_id="i1", operation=operation, model=model, digest=digest,
        annotations=tuple(annotation(one) for one in raw),
    )  # fmt: skip


def parsed(data: bytes) -> sidecar.Sidecar:
    found = sidecar.parse(data, operation="folder:x")
    assert found
    return found


@given(several)
def test_what_is_rendered_parses_to_the_very_sets(some):
    rendered = sidecar.render(item(), some)
    back = parsed(rendered)
    assert back.on("i1", SECOND) == tuple(sorted(some, key=lambda one: one.operation))
    assert (back.item_id, back.digest, back.image) == ("i1", FIRST, "a/b.jpg")
    assert sidecar.render(item(), back.sets) == rendered
    assert sidecar.render(item(), some[::-1]) == rendered


def test_its_form():
    some = [made("yolo", BOX, model=True), made("ann", LINE, digest=SECOND)]
    shown = sidecar.render(item(metadata={"camera": 7}), some)
    origin = {"operation_unique_id": "yolo", "is_model_run": True}
    line = {k: v for k, v in LINE.items() if k != "metadata"}
    assert json.loads(shown) == {
        "images": [{
            "image": "a/b.jpg", "metadata": {"camera": 7},
            "annotations": [
                line | {"operation_unique_id": "ann", "is_model_run": False}, BOX | origin,
            ],
        }],
        "syncd": {
            "schema": 1, "item": "i1", "digest": FIRST,
            "made_on_other_content": [{"operation_unique_id": "ann", "digest": SECOND}],
        },
    }  # fmt: skip
    assert len(shown.splitlines()) == 5, "one annotation a line"


def test_the_pictures_size_and_orientation_are_told_and_change_nothing():
    some = [made("ann", BOX)]
    for size, told in (
        (Size(width=30, height=20, orientation=6), {"width": 30, "height": 20, "orientation": 6}),
        (Size(width=30, height=20), {"width": 30, "height": 20}),
        (None, {}),
    ):
        shown = sidecar.render(item(), some, size)
        block = json.loads(shown)["syncd"]
        assert block == {"schema": 1, "item": "i1", "digest": FIRST} | told
        assert json.loads(shown)["images"][0]["annotations"][0]["bbox"] == BOX["bbox"]
        assert parsed(shown).sets == tuple(some)


def test_one_without_annotations_or_a_digest():
    for thing in (item(), item(digest=None)):
        assert parsed(sidecar.render(thing, [])).sets == ()
    kept = made("ann", LINE)
    assert parsed(sidecar.render(item(digest=None), [kept])).on("i1", SECOND) == (kept,)


def test_without_an_operation_it_is_the_folders_and_a_persons():
    back = parsed(document(image("b.jpg", BOX, LINE | {"operation_unique_id": "z"})))
    assert back.on("i9", SECOND) == tuple(
        AnnotationSet(item_id="i9", operation=name, model=False, digest=SECOND,
                      annotations=(annotation(raw),))
        for name, raw in (("folder:x", BOX), ("z", LINE))
    )  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"{}", b'{"a": [1, 2]}', b'{"images": []}', b'{"images": {}}', b'{"images": [1]}',
        b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [], "categories": []}',
        b'{"images": [{"image": "a.jpg"}, {"image": "b.jpg"}]}', b"[1, 2]", b"3", b'"text"',
    ],
)  # fmt: skip
def test_json_of_another_kind_is_no_sidecar(data):
    assert sidecar.parse(data, operation="x") is None


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "is empty"),
        (b'{"images": [', "is not JSON in /images/0"),
        (b'{"images": [{"image": "a", "annotations": [}]}', "line 1 column"),
        (document(image("a", BOX | {"bbox": [1]})), "/images/0/annotations/0/bbox: a: must"),
        (document(image("a"), syncd={"schema": 2}), "/syncd/schema: is 2"),
        (document(image("a"), syncd=[]), "/syncd: must be an object"),
        (document(image("a"), syncd={"digest": "x"}), "/syncd/digest: must be 64"),
        (document(image("a"), image("b"), syncd={}), "/images: must be a list of one"),
        (document(syncd={}), "/images: must be a list of one"),
        (document(image("a", LINE | {"is_model_run": 1})), "/images/0/annotations/0/is_model_run"),
        (document(image("a", LINE | {"operation_unique_id": "a\nb"})), "control characters"),
        (document(image("a", LINE | {"is_model_run": True}, LINE)), "/images/0/annotations/1/is_"),
        (document(image("a"), syncd={"made_on_other_content": [{}]}),
         "/syncd/made_on_other_content/0/operation_unique_id: is missing"),
        (document(image("a", *[1] * 5)), "(and 2 more)"),
    ],
)  # fmt: skip
def test_what_is_wrong_says_where(data, where):
    with pytest.raises(FormatError) as caught:
        sidecar.parse(data, operation="x")
    assert where in str(caught.value)
