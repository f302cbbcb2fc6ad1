"""How large pictures are: measured once, in turns and in time, and known from then on."""

from __future__ import annotations

import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from syncd.hub import annotation_calls, sizes
from tests import media
from tests.hub.asking import asking, opened, packed, put

NUMBERS = count()


@pytest.fixture
def pets(hub):
    with asking(hub, f"sizes-{next(NUMBERS)}") as asker:
        yield asker


@pytest.fixture
def patient(monkeypatch):
    """A request measures all it is asked: a child may take its time to start."""
    monkeypatch.setattr(sizes, "SECONDS", 60.0)


@pytest.fixture
def store(tmp_path, patient):
    with opened(tmp_path / "data") as store:
        yield store


def jpeg(width: int, height: int, kind: str = "JPEG", **more) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (width % 256, height % 256, 0)).save(out, kind, **more)
    return out.getvalue()


def turned(kind: str, orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(30, 20, kind, exif=exif)


def extents(pets, bodies: dict[str, bytes]) -> dict[str, tuple[int | None, ...]]:
    """What the hub says of pictures, measured first and then known."""
    ids = [pets.stored(name, body)["id"] for name, body in bodies.items()]
    first, again = sized(pets, ids), sized(pets, ids)
    assert first == again
    return {one.item.name: (one.width, one.height, one.orientation) for one in first}


def sized(pets, ids: list[str]) -> list[annotation_calls.Sized]:
    """What the hub says of all of them: one answer may end before that."""
    found: list[annotation_calls.Sized] = []
    at = 0
    while at < len(ids):
        answer = annotation_calls.AllSized.model_validate(pets.post("sizes", {"ids": ids[at:]}))
        assert answer.done, "one picture a request is always measured"
        found += answer.items
        at += answer.done
    assert at == len(ids)
    return found


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "PNG", "AVIF"])
def test_the_orientation_is_recorded_and_the_size_stays_as_stored(pets, kind):
    bodies = {f"{turn}.{kind}": turned(kind, turn) for turn in range(1, 9)}
    # of AVIF the container itself says it, and says nothing where nothing is to be done
    told = {turn: None if (kind, turn) == ("AVIF", 1) else turn for turn in range(1, 9)}
    assert extents(pets, bodies) == {f"{turn}.{kind}": (30, 20, told[turn]) for turn in told}


def test_the_orientation_of_heic_is_part_of_how_it_is_decoded(pets):
    register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = jpeg(30, 20, "HEIF", exif=exif.tobytes())
    assert b"irot" in lying
    only_said = jpeg(30, 20, "HEIF", exif=exif)
    assert b"irot" not in only_said
    bodies = {"a.heic": lying, "b.heic": only_said, "c.heic": jpeg(30, 20, "HEIF")}
    assert extents(pets, bodies) == {
        "a.heic": (20, 30, None), "b.heic": (30, 20, None), "c.heic": (30, 20, None),
    }  # fmt: skip


def test_an_orientation_that_is_none_or_damaged(pets):
    good = turned("JPEG")
    at = good.index(b"Exif")
    bodies = {
        "none.jpg": jpeg(30, 20), "none.gif": jpeg(30, 20, "GIF"), "0.jpg": turned("JPEG", 0),
        "9.jpg": turned("JPEG", 9),
        "torn.jpg": good[: at + 6] + b"\xff" * 12 + good[at + 18 :],
    }  # fmt: skip
    assert extents(pets, bodies) == dict.fromkeys(bodies, (30, 20, None))


def test_sizes_are_those_of_the_picture_as_stored(pets, tmp_path):
    media._dicom(tmp_path / "scan.dcm")
    bodies = {
        "a.jpg": turned("JPEG"), "b.png": turned("PNG"), "c.webp": turned("WEBP"),
        "d.tiff": turned("TIFF"), "e.jpg": b"no picture", "f.gif": jpeg(7, 9, "GIF"),
        "g.dcm": (tmp_path / "scan.dcm").read_bytes(), "h.jpg": jpeg(9, 9)[:-4],
    }  # fmt: skip
    items = [pets.stored(name, body) for name, body in bodies.items()]
    ids = [item["id"] for item in items]
    for _ in range(2):
        found = sized(pets, [*ids, "f" * 30])
        told = {one.item.name: (one.width, one.height) for one in found}
        assert told == {
            "a.jpg": (30, 20), "b.png": (30, 20), "c.webp": (30, 20), "d.tiff": (30, 20),
            "e.jpg": (None, None), "f.gif": (7, 9), "g.dcm": told["g.dcm"], "h.jpg": (9, 9),
        }  # fmt: skip
        assert told["g.dcm"][0]


def test_a_request_for_sizes_ends_in_time_and_goes_on_where_it_was(store, monkeypatch):
    pets = store.make_dataset("pets")[0].id
    store.batch(pets, "me", packed([put(f"{n}.jpg", jpeg(n + 1, 1)) for n in range(3)]))
    ids = [item.id for item in store.catalogue.page(pets).rows]
    monkeypatch.setattr(sizes, "SECONDS", -1.0)
    asker, at = sizes.Sizes(store), 0
    found: list[sizes.Extent | None] = []
    while at < 3:
        some, done = asker.of(pets, ids[at:])
        assert done == 1, "one picture a request is always measured"
        at, found = at + done, found + [one.size for one in some]
    assert found == [(1, 1, None), (2, 1, None), (3, 1, None)]


def test_what_is_no_picture_is_asked_once(store, monkeypatch):
    pets = store.make_dataset("pets")[0].id
    store.batch(pets, "me", packed([put("1.jpg", b"no picture"), put("2.jpg", jpeg(3, 2))]))
    ids = [item.id for item in store.catalogue.page(pets).rows]
    first = sizes.Sizes(store).of(pets, ids)
    assert [one.size for one in first[0]] == [None, (3, 2, None)]
    again = sizes.Sizes(store)
    monkeypatch.setattr(again._decoder, "make", None)
    assert again.of(pets, ids) == first


def test_a_child_that_died_says_nothing_for_good(store, monkeypatch):
    pets = store.make_dataset("pets")[0].id
    store.batch(pets, "me", packed([put("1.jpg", jpeg(3, 2))]))
    ids = [item.id for item in store.catalogue.page(pets).rows]
    asker = sizes.Sizes(store)
    line, other = socket.socketpair()
    other.close()
    with line, monkeypatch.context() as patched:
        patched.setattr(asker._decoder, "_started", lambda: line)
        assert asker.of(pets, ids)[0][0].size is None
    assert sizes.Sizes(store).of(pets, ids)[0][0].size == (3, 2, None)


def test_requests_for_sizes_take_turns(store, monkeypatch):
    pets = store.make_dataset("pets")[0].id
    store.batch(pets, "me", packed([put(f"{n}.jpg", jpeg(n + 1, 1)) for n in range(60)]))
    ids = [item.id for item in store.catalogue.page(pets).rows]
    asker = sizes.Sizes(store)
    make = asker._decoder.make
    turns: list[int] = []

    def slow(content, size):
        turns.append(threading.get_ident())
        time.sleep(0.01)
        return make(content, size)

    monkeypatch.setattr(asker._decoder, "make", slow)
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(lambda some: asker.of(pets, some), (ids[:30], ids[30:])))
    assert [done for _, done in halves] == [30, 30]
    assert len(set(turns[:30])) == 2, "one had all of it first"


def test_a_stopping_hub_waits_for_no_picture(store):
    pets = store.make_dataset("pets")[0].id
    store.batch(pets, "me", packed([put(f"{n}.jpg", jpeg(n + 1, 1)) for n in range(3)]))
    ids = [item.id for item in store.catalogue.page(pets).rows]
    asker = sizes.Sizes(store)
    asker.stop()
    assert asker.of(pets, ids)[1] == 1
