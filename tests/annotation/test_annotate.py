"""Documents into a dataset: what is stored, what fails and why, and that the rest goes on."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from syncd.annotation.model import Size
from syncd.engine.annotate import AnnotationReport, Source, annotate
from syncd.errors import FormatError, TransientError, UsageError
from syncd.remotes.memory import Fault, MemoryDataset, MemoryRemote, PlainDataset
from tests.annotation.making import BOX, LINE, POINTS, POLYGON, document, image

KEYS = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/3.jpg", "4.jpg")


@pytest.fixture
def remote() -> MemoryRemote:
    return MemoryRemote()


@pytest.fixture
def pets(remote) -> MemoryDataset:
    made = remote.open("pets", create=True)
    assert isinstance(made, MemoryDataset)
    for key in KEYS:
        made.shelf.store(key, key.encode())
    return made


def run(pets: PlainDataset, *entries, operation: str = "ann", model: bool = False,
        normalized: bool = False, folder: str = "") -> AnnotationReport:  # fmt: skip
    source = Source(operation=operation, model=model, normalized=normalized, folder=folder)
    return annotate(pets, document(*entries), source)


def kept(pets) -> dict[str, dict[str, list[str]]]:
    return {
        item.key: {one.operation: [a.label for a in one.annotations] for one in sets}
        for item, sets in pets.annotations(list(pets.items()))
        if sets
    }


def failed(report: AnnotationReport) -> list[str]:
    return [str(fault) for fault in report.failed]


def test_all_shapes_are_stored_and_counted(pets):
    entries = [image("a/1.jpg", BOX, POLYGON), image("3.jpg", LINE, POINTS)]
    report = run(pets, *entries)
    assert (report.dataset, report.images, report.annotations, report.changed) == ("pets", 2, 4, 2)
    assert report.success
    assert kept(pets) == {"a/1.jpg": {"ann": ["sign", "road"]}, "b/3.jpg": {"ann": ["lane", "eye"]}}
    assert run(pets, *entries).changed == 0, "again is nothing new"
    ((_, (first,)),) = pets.annotations([pets.shelf.find("a/1.jpg")])
    assert (first.model, first.digest) == (False, sha256(b"a/1.jpg").hexdigest())


def test_the_same_operation_replaces_another_adds_and_an_empty_list_removes(pets):
    run(pets, image("4.jpg", BOX), image("3.jpg", BOX))
    run(pets, image("4.jpg", LINE), operation="yolo", model=True)
    run(pets, image("4.jpg", POLYGON), image("3.jpg"))
    assert kept(pets) == {"4.jpg": {"ann": ["road"], "yolo": ["lane"]}}


def test_what_fails_says_where_and_the_rest_goes_on(pets):
    pets.shelf.trash("a/2.jpg")
    report = run(
        pets,
        image("1.jpg", BOX), image("none.jpg", BOX), image("4.jpg", BOX, BOX | {"bbox": [1]}),
        {"image": "b/3.jpg"}, image("a/2.jpg", BOX), image("b/1.jpg", BOX),
        image("/b/1.jpg", LINE), 7,
    )  # fmt: skip
    assert failed(report) == [
        "/images/0: 1.jpg: 2 items have this name, say which: there are a/1.jpg, b/1.jpg",
        "/images/1: none.jpg: no item has this name",
        "/images/2/annotations/1/bbox: 4.jpg: must be a list of left, top, width and height",
        "/images/3/annotations: b/3.jpg: is missing",
        "/images/4: a/2.jpg: there is no item 'a/2.jpg'",
        "/images/6: /b/1.jpg: is the item of /images/5 once more, and only that entry counts",
        "/images/7: must be an object",
    ]
    assert kept(pets) == {"b/1.jpg": {"ann": ["sign"]}}
    assert (report.images, report.success) == (1, False)


def test_an_entry_that_fails_leaves_what_was_there(pets):
    run(pets, image("4.jpg", BOX))
    assert not run(pets, image("4.jpg", LINE, LINE | {"label": ""})).success
    assert kept(pets) == {"4.jpg": {"ann": ["sign"]}}


def test_within_a_folder(pets):
    assert run(pets, image("1.jpg", BOX), folder="/a/").success
    assert list(kept(pets)) == ["a/1.jpg"]


def test_annotations_of_another_operation_are_not_renamed(pets):
    foreign = BOX | {"operation_unique_id": "yolo", "is_model_run": True}
    ours = BOX | {"operation_unique_id": "ann", "is_model_run": False}
    assert failed(run(pets, image("4.jpg", ours), image("3.jpg", foreign))) == [
        "/images/1/annotations/0/operation_unique_id: 3.jpg: is 'yolo', and not 'ann' as was "
        "asked for",
        "/images/1/annotations/0/is_model_run: 3.jpg: is True, and not False as was asked for",
    ]
    assert list(kept(pets)) == ["4.jpg"]


def test_normalised_coordinates_become_pixels_by_the_pictures_size(pets):
    pets.shelf.sizes[sha256(b"4.jpg").hexdigest()] = Size(width=200, height=100)
    pets.shelf.sizes[sha256(b"a/1.jpg").hexdigest()] = Size(width=10, height=10)
    half = BOX | {"bbox": [0.5, 0.5, 0.1, 0.1]}
    report = run(pets, image("4.jpg", half), image("b/3.jpg", half), image("a/1.jpg", BOX),
                 image("a/2.jpg"), normalized=True)  # fmt: skip
    assert failed(report) == [
        "/images/1: b/3.jpg: normalised coordinates cannot become pixels: the picture's size is "
        "not known",
        "/images/2/annotations/0: a/1.jpg: 358 is no normalised coordinate; is it in pixels?",
    ]
    ((_, (one,)),) = [found for found in pets.annotations(list(pets.items())) if found[1]]
    assert one.annotations[0].coordinates == (100, 50, 20, 10)


def test_what_is_wrong_as_a_whole_changes_nothing(pets):
    source = Source(operation="ann", model=False)
    for data in (b"", b"[]", b"{}", b'{"images": {}}', document(image("4.jpg", BOX))[:-1]):
        with pytest.raises(FormatError):
            annotate(pets, data, source)
    with pytest.raises(UsageError, match="operation"):
        run(pets, image("4.jpg", BOX), operation="a\nb")
    assert kept(pets) == {}


def test_a_remote_without_annotations(remote):
    plain = MemoryRemote(kind=PlainDataset).open("pets", create=True)
    with pytest.raises(UsageError, match="keeps no annotations"):
        run(plain, image("4.jpg", BOX))


def test_a_remote_that_goes_away_is_raised_and_again_comes_to_the_end(remote, pets):
    entries = [image(key, BOX) for key in KEYS]
    remote.trouble = lambda request: Fault.LOST if request.call == "annotate" else None
    with pytest.raises(TransientError):
        run(pets, *entries)
    remote.trouble = lambda request: None
    assert run(pets, *entries).success
    assert sorted(kept(pets)) == sorted(KEYS)


def test_thousands_of_images(pets):
    for n in range(2500):
        pets.shelf.store(f"c/{n}.jpg", b"%d" % n)
    report = run(pets, *(image(f"{n}.jpg", BOX) for n in range(5, 2500)), image("no", BOX))
    assert (report.images, failed(report)) == (2495, ["/images/2495: no: no item has this name"])
    assert len(kept(pets)) == 2495
    assert json.dumps(failed(report))


def test_metadata_of_an_image_is_not_dropped_in_silence(pets):
    report = run(pets, image("a/1.jpg", BOX) | {"metadata": {"camera": 7}}, image("3.jpg", LINE))
    (said,) = failed(report)
    assert said.startswith("/images/0/metadata: a/1.jpg: is not stored")
    assert kept(pets) == {"a/1.jpg": {"ann": ["sign"]}, "b/3.jpg": {"ann": ["lane"]}}
    assert run(pets, image("a/1.jpg", BOX) | {"metadata": {}}).success
