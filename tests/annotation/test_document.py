"""Documents: large, torn, odd; and which item an image means."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.annotation.document import Document
from syncd.annotation.match import Match, UnmatchedError
from syncd.errors import FormatError
from tests.annotation.making import BOX, LINE, anything, document, image, item


def faults(data: bytes) -> list[str]:
    return [str(fault) for entry in Document(data) for fault in entry.faults]


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as caught:
        Document(data)
    return str(caught.value)


@given(st.lists(anything, max_size=4), st.dictionaries(st.text(max_size=4), anything, max_size=3))
def test_any_json_is_walked_as_json_loads_it(images, rest):
    rest = {name: value for name, value in rest.items() if name != "images"}
    for indent in (None, 1):
        found = Document(json.dumps({"images": images} | rest, indent=indent).encode())
        assert [found.raw(n) for n in range(len(found))] == images
        assert found.rest == rest
        assert found.listed


@given(anything, st.data())
def test_what_is_cut_short_is_no_document(raw, data):
    whole = document(image("a.jpg", BOX), more=raw)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert "is not JSON" in (text := refusal(whole[:cut])) or "is empty" in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty: JSON was expected"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\xff{}", "is not UTF-8: byte 0"),
        (b'{"images": ["\xe4"]}', "is not UTF-8: byte 13"),
        ("{}".encode("utf-16"), "is UTF-16"),
        (b"{", "line 1 column 2"),
        (b'{"images": [1, 2}', "is not JSON in /images/2: ']' was expected, line 1 column 17"),
        (b'{"images": [1,]}', "is not JSON in /images/1"),
        (b'{"images": []} x', "there is more after the end, line 1 column 16"),
        (b"[] []", "there is more after the end"),
        (b'{"a" 1}', "':' was expected"),
        (b'{"a": 1,}', "is not JSON"),
        (b'{\n"a": 1\n"b": 2}', "'}' was expected, line 3 column 1"),
        (b"{1: 2}", "a key must be text"),
        (b'{"images": [], "images": []}', "the key 'images' is there twice"),
        (b'{"a": 1, "a": 1}', "the key 'a' is there twice"),
        (b'{"images": [1, ' + b"[" * 100_000, "is not JSON in /images/1: is nested too deeply"),
        (b'{"images": [' + b"1" * 5000 + b"]}", "a number of too many digits"),
    ],
)  # fmt: skip
def test_what_is_no_document_says_why_and_where(data, said):
    assert said in refusal(data)


def test_a_mark_at_the_beginning_does_no_harm():
    assert Document(b"\xef\xbb\xbf" + document(image("ä.jpg", BOX))).images == ["ä.jpg"]


def test_a_bad_entry_does_not_hinder_the_others():
    data = document(
        image("a.jpg", BOX), 7, {"image": "b.jpg"}, image("c.jpg", BOX, LINE | {"label": ""}, 1),
        {"image": "", "annotations": []}, image("d.jpg") | {"extra": 1}, image("e.jpg"),
    )  # fmt: skip
    found = list(Document(data))
    assert [(entry.image, len(entry.annotations)) for entry in found if not entry.faults] == [
        ("a.jpg", 1), ("e.jpg", 0),
    ]  # fmt: skip
    assert faults(data) == [
        "/images/1: must be an object",
        "/images/2/annotations: b.jpg: is missing",
        "/images/3/annotations/1/label: c.jpg: must be text",
        "/images/3/annotations/2: c.jpg: must be an object",
        "/images/4/image: must be text",
        "/images/5/extra: d.jpg: is no field of an image",
    ]


def test_a_key_given_twice_is_a_fault_of_its_entry():
    doubled = b'{"image": "a", "image": "b", "annotations": []}'
    data = b'{"images": [' + doubled + b', {"image": "c", "annotations": []}]}'
    assert faults(data) == ["/images/0: has the key 'image' twice"]


def test_a_large_document_is_read_an_entry_at_a_time():
    one = json.dumps(image("x" * 20, *[BOX] * 4))
    data = b'{"images": [' + ",".join([one] * 2_000).encode() + b"]}"
    tracemalloc.start()
    began = time.monotonic()
    try:
        found = Document(data)
        assert sum(len(entry.annotations) for entry in found) == 8_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(data) + 500_000, "the text twice, and what points into it"
    assert time.monotonic() - began < 20


# --- which item is meant --------------------------------------------------------------------------

ITEMS = [item(key, id=key) for key in ("a.jpg", "b/a.jpg", "b/c/d.jpg", "b/e.jpg", "z/ä.jpg")]


def meant(name: str, folder: str = "") -> str:
    try:
        return Match([name], ITEMS, folder).item(name).key
    except UnmatchedError as error:
        return f"! {error}"


@pytest.mark.parametrize(
    ("image", "folder", "key"),
    [
        ("b/a.jpg", "", "b/a.jpg"),
        ("/b/a.jpg", "", "b/a.jpg"),
        ("/a.jpg", "", "a.jpg"),
        ("d.jpg", "", "b/c/d.jpg"),
        ("ä.jpg", "", "z/ä.jpg"),
        ("a.jpg", "b", "b/a.jpg"),
        ("c/d.jpg", "b", "b/c/d.jpg"),
        ("d.jpg", "b", "b/c/d.jpg"),
        ("a.jpg", "", "! 2 items have this name, say which: there are /a.jpg, b/a.jpg"),
        ("x.jpg", "", "! no item has this name"),
        ("a.jpg", "z", "! no item below z/ has this name"),
        ("a\u0308.jpg", "", "! no item has this name"),
        ("c/a.jpg", "", "! there is no item 'c/a.jpg'; of that name there are /a.jpg, b/a.jpg"),
        ("b/a.jpg", "b", "! there is no item 'b/b/a.jpg'; of that name there is /a.jpg"),
        ("/d.jpg", "", "! there is no item 'd.jpg'; of that name there is b/c/d.jpg"),
        ("b", "", "! no item has this name"),
        ("b/", "", "! there is no item 'b'"),
    ],
)  # fmt: skip
def test_an_image_means_one_item_or_none(image, folder, key):
    assert meant(image, folder) == key


def test_of_many_candidates_some_are_shown():
    many = [item(f"{n}/a.jpg", id=str(n)) for n in range(9)]
    with pytest.raises(UnmatchedError, match=r"9 items .* 4/a.jpg and 4 more$"):
        Match(["a.jpg"], many).item("a.jpg")
