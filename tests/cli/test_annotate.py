"""annotate, and the same from Python: a document's annotations, stored and read back."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from syncd import connect
from syncd.annotation.model import Shape
from syncd.errors import FormatError, NotFoundError
from tests.annotation.making import BOX, LINE, POLYGON, document, image


def picture(width: int, height: int, kind: str = "PNG", **more) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, kind, **more)
    return out.getvalue()


def turned(orientation: int) -> bytes:
    """A picture that is stored lying on its side, or whatever else."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(40, 20, "JPEG", exif=exif)


@pytest.fixture
def stored(cli, shelf, name, tree):
    folder = tree(
        {"a/1.png": picture(40, 20), "b/1.png": picture(10, 10), "b/2.png": b"no picture"}
    )
    cli("push", folder, "--to", name, "--quiet")
    return folder


@pytest.fixture
def dataset(shared, name, stored):
    with connect(shared.url, token=shared.token) as client:
        yield client.dataset(name)


@pytest.fixture
def write(tmp_path):
    def written(*entries) -> str:
        file = tmp_path / "some.json"
        file.write_bytes(document(*entries))
        return str(file)

    return written


def test_a_document_is_stored(cli, name, dataset, write):
    file = write(image("a/1.png", BOX, POLYGON), image("2.png", LINE))
    said = cli("annotate", name, file, "--operation", "ann", "--human")
    assert said.out == f"{name}: 3 annotations of 2 images stored, 2 changed\n"
    said = cli("annotate", name, file, "--operation", "yolo", "--model", "--json")
    assert said.json == {
        "dataset": name, "operation": "yolo", "images": 2, "annotations": 3, "changed": 2,
        "failed": [], "success": True,
    }  # fmt: skip
    found = {item.key: [(one.operation, one.model) for one in sets]
             for item, sets in dataset.annotations()}  # fmt: skip
    assert found == {key: [("ann", False), ("yolo", True)] for key in ("a/1.png", "b/2.png")}
    assert [item.key for item, _ in dataset.annotations("b")] == ["b/2.png"]


def test_what_failed_is_told_with_its_place_and_ends_with_1(cli, name, stored, write):
    file = write(image("1.png", BOX), image("2.png", BOX), image("b/1.png", {"type": "rectangle"}))
    said = cli("annotate", name, file, "--operation", "ann", "--human", code=1)
    assert said.out == f"{name}: 1 annotations of 1 images stored, 1 changed, 2 failed\n"
    assert said.err.splitlines() == [
        "  /images/0: 1.png: 2 items have this name, say which: there are a/1.png, b/1.png",
        "  /images/2/annotations/0/bbox: b/1.png: must be a list of left, top, width and height",
    ]
    said = cli("annotate", name, file, "--operation", "ann", "--human", "--json", code=1)
    assert [fault["pointer"] for fault in said.json["failed"]] == [
        "/images/0", "/images/2/annotations/0/bbox",
    ]  # fmt: skip


def test_normalised_coordinates_are_converted_by_the_pictures_size(cli, name, dataset, write):
    half = BOX | {"bbox": [0.5, 0.5, 0.25, 0.25]}
    file = write(image("1.png", half), image("2.png", half))
    said = cli("annotate", name, file, "--operation", "ann", "--human", "--normalized",
               "--folder", "b", "--json", code=1)  # fmt: skip
    assert [fault["image"] for fault in said.json["failed"]] == ["2.png"]
    assert "size is not known" in said.json["failed"][0]["reason"]
    ((item, (one,)),) = dataset.annotations()
    assert item.key == "b/1.png"
    assert one.annotations[0].coordinates == (5, 5, 2.5, 2.5)


def test_calls_that_cannot_be(cli, name, stored, write, tmp_path):
    file = write(image("2.png", BOX))
    said = cli("annotate", name, file, "--operation", "ann", code=2)
    assert "--model" in said.err
    assert "--human" in said.err
    cli("annotate", name, file, "--human", code=2)
    cli("annotate", name, file, "--operation", "", "--human", code=2)
    cli("annotate", name, tmp_path / "none.json", "--operation", "ann", "--human", code=4)
    cli("annotate", "none-such", file, "--operation", "ann", "--human", code=4)
    (tmp_path / "torn.json").write_text('{"images": [')
    torn = cli("annotate", name, tmp_path / "torn.json", "--operation", "ann", "--human", code=1)
    assert torn.err.startswith(f"syncd: {tmp_path}/torn.json: is not JSON in /images/0: ")


def test_from_python(dataset, tmp_path):
    said = {"images": [image("2.png", LINE, BOX)]}
    report = dataset.annotate(said, operation="ann", model=False)
    assert (report.success, report.annotations) == (True, 2)
    file = tmp_path / "some.json"
    file.write_text(json.dumps(said))
    assert dataset.annotate(file, operation="ann", model=False).changed == 0
    ((item, (one,)),) = dataset.annotations()
    assert (item.key, item.annotated, one.digest) == ("b/2.png", 1, item.digest)
    assert [(a.shape, a.label) for a in one.annotations] == [
        (Shape.LINE, "lane"), (Shape.RECTANGLE, "sign"),
    ]  # fmt: skip
    with pytest.raises(FormatError) as caught:
        dataset.annotate({"picture": []}, operation="ann", model=False)
    assert caught.value.path is None
    with pytest.raises(FormatError, match="cannot say"):
        dataset.annotate({"images": [object()]}, operation="ann", model=False)
    dataset.name = "none-such"
    with pytest.raises(NotFoundError):
        dataset.annotate(said, operation="ann", model=False)


def test_normalised_coordinates_are_of_the_picture_as_stored(cli, name, dataset, tree, write):
    folder = tree({f"t/{turn}.jpg": turned(turn) for turn in range(1, 9)})
    cli("push", folder, "--to", name, "--quiet")
    half = LINE | {"polygon": [[0.25, 0.5], [1, 1]]}
    file = write(*(image(f"t/{turn}.jpg", half) for turn in range(1, 9)))
    cli("annotate", name, file, "--operation", "yolo", "--model", "--normalized")
    found = {item.key: sets[0].annotations[0].coordinates
             for item, sets in dataset.annotations("t")}  # fmt: skip
    assert found == dict.fromkeys((f"t/{turn}.jpg" for turn in range(1, 9)), (10, 10, 40, 20))
    sizes = {item.key: size for item, size in dataset.sizes()}
    assert sizes.pop("b/2.png") is None
    assert [(s.width, s.height) for s in sizes.values()] == [(40, 20), (10, 10), *[(40, 20)] * 8]
    assert [s.orientation for s in sizes.values()] == [None, None, *range(1, 9)]
