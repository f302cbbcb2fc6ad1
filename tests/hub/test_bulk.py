"""Many bodies in one answer: whose they may be, how many, and from wherever they lie by then."""

from __future__ import annotations

import random
from hashlib import sha256
from itertools import count

import pytest

from syncd import frame
from syncd.hub import bulk
from syncd.hub.blobs import Place
from tests.hub.asking import asking, digest, opened, packed, put

NUMBERS = count()


@pytest.fixture
def pets(hub):
    with asking(hub, f"bulk-{next(NUMBERS)}") as asker:
        yield asker


def ask(pets, *digests, dataset=None):
    return pets.http.post(f"/v1/datasets/{dataset or pets.id}/fetch", json={"digests": digests})


def told(answer):
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    return [body if body is None else bytes(body) for _, body in frame.unpack(answer.content)]


def test_bodies_that_no_item_of_the_dataset_has_are_missing(hub, pets):
    pets.batch(put("1.jpg", b"mine"))
    with asking(hub, f"bulk-{next(NUMBERS)}") as other:
        other.batch(put("1.jpg", b"theirs"))
        assert told(ask(pets, digest(b"theirs"), digest(b"mine"))) == [None, b"mine"]
        assert told(ask(pets, digest(b"theirs"), dataset=other.id)) == [b"theirs"]


def test_what_was_purged_is_missing_with_all_its_versions(pets):
    first = pets.batch(put("1.jpg", b"first"))[0]["item"]
    pets.batch(put("1.jpg", b"second", expect=1, id=first["id"]))
    assert told(ask(pets, digest(b"first"), digest(b"second"))) == [b"first", b"second"]
    pets.batch({"op": "trash", "id": first["id"]})
    assert told(ask(pets, digest(b"first"), digest(b"second"))) == [b"first", b"second"]
    pets.batch({"op": "delete", "id": first["id"]})
    assert told(ask(pets, digest(b"first"), digest(b"second"))) == [None, None]
    place = f"/v1/items/{first['id']}/content"
    assert pets.http.get(place, params={"digest": digest(b"first")}).status_code == 404


def test_a_version_by_its_digest_and_no_other_for_it(pets):
    first = pets.batch(put("1.jpg", b"first"))[0]["item"]
    pets.batch(put("1.jpg", b"second", expect=1, id=first["id"]))
    pets.batch(put("2.jpg", b"of another item"))
    place = f"/v1/items/{first['id']}/content"
    old = pets.http.get(place, params={"digest": digest(b"first")}, headers={"range": "bytes=1-2"})
    assert (old.status_code, old.content) == (206, b"ir")
    assert old.headers["etag"] == f'"{digest(b"first")}"'
    assert pets.http.get(place).content == b"second"
    assert pets.http.get(place, params={"digest": digest(b"of another item")}).status_code == 404
    assert pets.http.get(place, params={"digest": "nonsense"}).status_code == 400


def test_too_much_is_refused_with_a_sentence(pets):
    body = random.randbytes(9 * 1024 * 1024)
    pets.batch(put("1.jpg", body))
    assert ask(pets, *[digest(b"x")] * (bulk.MAX_FILES + 1)).status_code == 413
    assert ask(pets, *[digest(body)] * 4).status_code == 413
    assert told(ask(pets, *[digest(body)] * 3)) == [body] * 3
    assert ask(pets, "nonsense").status_code == 400
    assert ask(pets, digest(body), dataset="nothing").status_code == 404


def test_bodies_back_to_back_are_read_at_once(tmp_path):
    bodies = [random.randbytes(n * 100) for n in range(20)]
    with opened(tmp_path) as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put(f"{n}", b) for n, b in enumerate(bodies)]))
        held = bulk._find(store, pets, [sha256(b).digest() for b in bodies])
        assert len(held.found) == 20
        found = [held.found[sha256(b).digest()] for b in bodies]
        assert [len(run) for run in bulk._runs(found)] == [20]
        assert [len(run) for run in bulk._runs(found[::-1])] == [1] * 20
        for some in (found, found[::-1], found[::2]):
            assert bulk._read(store, held.blobs, some) == b"".join(
                bodies[found.index(body)] for body in some
            )


def test_a_body_that_was_moved_since_it_was_looked_up_is_found_again(tmp_path):
    with opened(tmp_path) as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put("1", b"one"), put("2", b"two")]))
        held = bulk._find(store, pets, [sha256(b"one").digest(), sha256(b"two").digest()])
        gone = [body._replace(place="packs/99999999") for body in held.found.values()]
        with pytest.raises(FileNotFoundError):
            store.blobs.open(Place(gone[0].place, 0))
        assert sorted([bulk._read(store, held.blobs, [body]) for body in gone]) == [b"one", b"two"]
