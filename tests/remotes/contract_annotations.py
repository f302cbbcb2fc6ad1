"""The contract's part about annotations, tried where a dataset offers them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from syncd.annotation.model import Annotation, AnnotationSet, Shape
from syncd.errors import MissingError, RejectedError
from syncd.model import Item, ItemState
from syncd.remotes.base import Annotates, Feeds, Move, Moves, Removal, Trashes
from tests.remotes.asking import good, put, upload

BOX = Annotation(
    shape=Shape.RECTANGLE, coordinates=(1, 2, 3.5, 4), label="sign", confidence=0.5,
    metadata={"a": [1, None, {"b": "ü"}]},
)  # fmt: skip
LINE = Annotation(shape=Shape.LINE, coordinates=(1, 2, 3, 4, 5, 6), label="lane")


@pytest.fixture
def marks(dataset):
    if not isinstance(dataset, Annotates):
        pytest.skip("this dataset keeps no annotations")
    return dataset


def said(item: Item, *annotations: Annotation, operation: str = "ann", **more) -> AnnotationSet:
    return replace(
        AnnotationSet(item_id=item.id, operation=operation, model=False, digest=item.digest or "",
                      annotations=annotations),
        **more,
    )  # fmt: skip


def told(dataset, *items: Item) -> list[tuple[str, tuple[AnnotationSet, ...]]]:
    return [(item.key, sets) for item, sets in dataset.annotations(items)]


def test_annotations_come_back_as_they_were(marks):
    item, bare = put(marks, "a/1.jpg", b"x"), put(marks, "2.jpg", b"y")
    assert item.annotated == 0
    first, second = said(item, BOX, LINE), said(item, LINE, operation="Z", model=True)
    done = marks.annotate([first, second])
    assert [outcome.key for outcome in done] == [item.id] * 2
    after = good(done)[-1]
    assert (after.version, after.key, after.digest) == (item.version, item.key, item.digest)
    assert after.annotated > 0
    assert told(marks, bare, item) == [("2.jpg", ()), ("a/1.jpg", (second, first))]
    assert next(iter(marks.items("a"))).annotated == after.annotated


def test_the_same_operation_replaces_and_an_empty_set_removes(marks):
    item = put(marks, "1.jpg", b"x")
    revisions = [0]
    for some in (said(item, BOX), said(item, LINE), said(item, LINE, operation="b"), said(item)):
        revisions.append(good(marks.annotate([some]))[0].annotated)
    assert revisions == sorted(set(revisions)), "each change raises it"
    assert told(marks, item) == [("1.jpg", (said(item, LINE, operation="b"),))]


def test_again_is_the_same_and_changes_nothing(marks):
    item = put(marks, "1.jpg", b"x")
    first = good(marks.annotate([said(item, BOX)]))[0]
    for some in (said(item, BOX), said(item, operation="never")):
        assert good(marks.annotate([some]))[0].annotated == first.annotated


def test_annotations_of_what_is_not_there(marks):
    item, fine = put(marks, "1.jpg", b"x"), put(marks, "2.jpg", b"y")
    good(marks.remove([Removal(item_id=item.id, expect=None, key=item.key, forever=True)]))
    ghost = replace(item, id="f" * 32)
    bad = said(fine, replace(BOX, coordinates=(1, 2)), operation="bad")
    done = marks.annotate([said(item, BOX), said(ghost, BOX), bad, said(fine, BOX)])
    assert [type(outcome.error) for outcome in done] == [
        MissingError, MissingError, RejectedError, type(None),
    ]  # fmt: skip
    assert told(marks, item, ghost, fine) == [("2.jpg", (said(fine, BOX),))]


def test_moves_new_content_and_the_trash_keep_annotations(marks):
    item = put(marks, "1.jpg", b"first")
    kept = said(item, BOX)
    revision = good(marks.annotate([kept]))[0].annotated
    moves, trashes = isinstance(marks, Moves), isinstance(marks, Trashes)
    if moves:
        item = good(marks.move([Move(item_id=item.id, expect=None, key="b/2.jpg")]))[0]
    put(marks, item.key, b"second", item=item)
    if trashes:
        good(marks.remove([Removal(item_id=item.id, expect=None, key=item.key)]))
        assert [found.state for found, _ in marks.annotations([item])] == [ItemState.TRASHED]
        good(marks.restore([item]))
    ((found, sets),) = marks.annotations([item])
    assert (found.annotated, found.digest) == (revision, sha256(b"second").hexdigest())
    assert sets == (kept,)
    assert sets[0].digest == sha256(b"first").hexdigest()


def test_the_feed_tells_of_annotations_and_hides_nothing_by_them(marks, other):
    feeds = isinstance(marks, Feeds)
    if not feeds:
        pytest.skip("this dataset has no feed")
    item, theirs = put(marks, "1.jpg", b"x"), put(other, "2.jpg", b"y")
    at = marks.changes(0, mine=True).cursor

    def heard(dataset) -> list[str]:
        return [item.key for item in dataset.changes(at).items if item.annotated]

    good(marks.annotate([said(item, BOX), said(theirs, BOX)]))
    assert heard(marks) == ["2.jpg"], "of theirs I may not have heard before"
    assert heard(other) == ["1.jpg", "2.jpg"]
    good(other.annotate([said(item, LINE)]))
    assert heard(marks) == ["2.jpg", "1.jpg"]


def test_thousands_of_items_in_one_call(marks):
    items = []
    for start in range(0, 4500, 500):
        batch = [upload(f"{n:04}.jpg", b"%d" % n) for n in range(start, start + 500)]
        items += [replace(i, digest=u.digest) for i, u in zip(good(marks.put(batch)), batch,
                                                              strict=True)]  # fmt: skip
    sets = [said(item, BOX) for item in items[::2]]
    good(marks.annotate(sets))
    found = list(marks.annotations(items))
    assert [item.id for item, _ in found] == [item.id for item in items]
    assert [some for _, kept in found for some in kept] == sets
    assert list(marks.annotations([])) == []
    assert list(marks.annotate([])) == []


def test_one_that_is_too_large_does_not_hinder_the_others(marks):
    item, fine = put(marks, "1.jpg", b"x"), put(marks, "2.jpg", b"y")
    for length in (9, 17):
        huge = said(item, replace(LINE, metadata={"x": "y" * length * 2**20}))
        bad, well = marks.annotate([huge, said(fine, BOX, operation=str(length))])
        assert isinstance(bad.error, RejectedError)
        assert well.error is None
    assert [len(sets) for _, sets in marks.annotations([item, fine])] == [0, 2]


def test_sizes_of_what_is_no_picture(marks):
    item = put(marks, "1.jpg", b"no picture")
    assert [(found.key, size) for found, size in marks.sizes([item])] == [("1.jpg", None)]
