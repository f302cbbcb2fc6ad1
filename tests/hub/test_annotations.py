"""Annotations at the hub: what a set does, what keeps it, what removes it; over HTTP and below."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import count

import pytest

from syncd.annotation.model import AnnotationSet
from syncd.annotation.read import annotation
from syncd.hub import annotating, annotation_calls, backup, forms, garbage, schema, sizes, trash
from syncd.hub.store import Store
from tests.annotation.making import BOX, LINE, POINTS
from tests.hub.asking import asking, digest, opened, packed, put
from tests.hub.test_sizes import jpeg, turned

NUMBERS = count()


@pytest.fixture
def pets(hub):
    with asking(hub, f"annotations-{next(NUMBERS)}") as asker:
        yield asker


def said(item, *annotations, operation="ann", **more):
    return {
        "item": item["id"], "operation": operation, "model": False, "digest": item["sha256"],
        "annotations": list(annotations),
    } | more  # fmt: skip


def annotate(pets, *sets, source="me"):
    answer = pets.http.post(
        f"{pets.base}/annotations", params={"source": source}, json={"sets": list(sets)}
    )
    assert answer.status_code == 200, answer.text
    found = forms.Outcomes.model_validate(answer.json())
    return [result.model_dump(exclude_none=True) for result in found.results]


def read(pets, *items):
    answer = pets.post("annotations/read", {"ids": [item["id"] for item in items]})
    return annotation_calls.AllAnnotated.model_validate(answer).model_dump()["items"]


def of(pets, item):
    (one,) = read(pets, item)
    return {
        kept["operation"]: [a["label"] for a in kept["annotations"]] for kept in one["sets"]
    }  # fmt: skip


# --- what a set does ------------------------------------------------------------------------------


def test_a_set_is_kept_as_it_was_said(pets):
    item = pets.stored("a/1.jpg", b"cat")
    assert item["annotated"] == 0
    (done,) = annotate(pets, said(item, BOX, LINE, POINTS, model=True))
    assert (done["status"], done["item"]["annotated"], done["item"]["version"]) == ("stored", 1, 1)
    (one,) = read(pets, item)
    assert one["item"] == done["item"]
    line = {name: value for name, value in LINE.items() if value}
    assert one["sets"] == [
        {"operation": "ann", "model": True, "digest": digest(b"cat"),
         "annotations": [BOX, line, POINTS]},
    ]  # fmt: skip


def test_the_same_operation_replaces_another_adds_and_an_empty_one_removes(pets):
    item = pets.stored("1.jpg", b"cat")
    annotate(pets, said(item, BOX), said(item, LINE, operation="yolo", model=True))
    assert of(pets, item) == {"ann": ["sign"], "yolo": ["lane"]}
    annotate(pets, said(item, LINE, POINTS))
    assert of(pets, item) == {"ann": ["lane", "eye"], "yolo": ["lane"]}
    (done,) = annotate(pets, said(item))
    assert (done["status"], done["item"]["annotated"]) == ("stored", 3)
    assert of(pets, item) == {"yolo": ["lane"]}


def test_what_changes_nothing_is_the_same_and_silent(pets):
    item = pets.stored("1.jpg", b"cat")
    annotate(pets, said(item, BOX))
    at = pets.get("changes")["cursor"]
    shuffled = dict(reversed(BOX.items())) | {"bbox": [358.0, 239, 45, 16.5]}
    for one in (said(item, shuffled), said(item, operation="none")):
        (done,) = annotate(pets, one)
        assert (done["status"], done["item"]["annotated"]) == ("same", 1)
    assert pets.get("changes")["cursor"] == at


def test_later_sets_of_a_batch_see_the_earlier(pets):
    item = pets.stored("1.jpg", b"cat")
    done = annotate(pets, said(item, BOX), said(item, BOX), said(item), said(item))
    assert [one["status"] for one in done] == ["stored", "same", "stored", "same"]
    assert of(pets, item) == {}
    assert done[-1]["item"]["annotated"] == 1, "one revision a batch"


def test_one_that_is_wrong_does_not_hinder_the_others(pets):
    item, gone = pets.stored("1.jpg", b"cat"), pets.stored("2.jpg", b"dog")
    pets.batch({"op": "trash", "id": gone["id"]})
    bad = said(item, BOX, LINE | {"polygon": [[1, 2], [3, "x"]]}, operation="bad")
    done = annotate(pets, bad, said(gone, BOX), said({"id": "f", "sha256": "0" * 64}, BOX), 7,
                    said(item, BOX))  # fmt: skip
    assert [one["status"] for one in done] == ["refused", "missing", "missing", "refused", "stored"]
    assert done[0]["reason"] == "/annotations/1/polygon/1/1: must be a number"
    assert done[1]["item"]["state"] == "trashed"
    assert of(pets, item) == {"ann": ["sign"]}


def test_an_item_of_another_dataset_is_not_there(pets, hub):
    item = pets.stored("1.jpg", b"cat")
    with asking(hub, f"annotations-{next(NUMBERS)}") as other:
        (done,) = annotate(other, said(item, BOX))
        assert done["status"] == "missing"
        assert read(other, item) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"sets": 1}', b"\xff", b'{"sets": ' + b"[" * 100_000, b'{"a":1,"a":2}',
     json.dumps({"sets": [1] * 10_001}).encode()],
    ids=range(8),
)  # fmt: skip
def test_a_body_that_is_no_list_of_sets(pets, body):
    answer = pets.http.post(f"{pets.base}/annotations", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_what_json_lets_through_and_nobody_should_keep(pets):
    item = pets.stored("1.jpg", b"cat")
    for text in ("NaN", "Infinity", "1e999", "1" * 400, '"\\ud800"', '{"a":1,"a":2}'):
        raw = json.dumps({"sets": [said(item, LINE | {"metadata": {"x": "HERE"}})]})
        answer = pets.http.post(f"{pets.base}/annotations", content=raw.replace('"HERE"', text))
        assert answer.json()["results"][0]["status"] == "refused", text
    assert of(pets, item) == {}


def test_limits(pets):
    assert (
        pets.http.post(f"{pets.base}/annotations", content=b" " * (16 * 2**20 + 1)).status_code
        == 413
    )
    item = pets.stored("1.jpg", b"cat")
    big = LINE | {"metadata": {"x": "y" * 7 * 2**20}}
    done = [annotate(pets, said(item, big, operation=f"o{n}"))[0] for n in range(5)]
    assert [one["status"] for one in done] == ["stored"] * 4 + ["refused"]
    huge = LINE | {"metadata": {"x": "y" * 9 * 2**20}}
    assert annotate(pets, said(item, huge, operation="o1"))[0]["status"] == "refused"
    small = annotate(pets, said(item, LINE, operation="o1"))
    assert small[0]["status"] == "stored", "less than before always fits"
    another = pets.stored("2.jpg", b"dog")
    first = pets.post("annotations/read", {"ids": [item["id"], another["id"]]})
    assert (len(first["items"]), first["done"]) == (1, 1), "one answer holds so much"


# --- the feed -------------------------------------------------------------------------------------


def test_a_change_shows_in_the_feed_and_hides_nothing_in_it(pets):
    mine, theirs = pets.stored("1.jpg", b"cat"), pets.batch(put("2.jpg", b"x"), source="ann")[0]
    theirs = theirs["item"]
    at = pets.get("changes")["cursor"]

    def heard(who):
        news = pets.get("changes", after=at, **{"except": who})["items"]
        return [(item["name"], item["annotated"], item["by"]) for item in news]

    annotate(pets, said(mine, BOX))
    assert (heard("me"), heard("ann")) == ([], [("1.jpg", 1, "me")]), "all of it is my own"
    annotate(pets, said(theirs, BOX))
    assert heard("me") == [("2.jpg", 1, "ann")], "I may not have heard of their content"
    annotate(pets, said(mine, LINE), source="ann")
    assert heard("me")[-1] == ("1.jpg", 2, "me")
    assert heard("ann")[-1] == ("1.jpg", 2, "me")


# --- what keeps and what removes ------------------------------------------------------------------


def test_moves_new_content_and_the_trash_keep_annotations_bound_to_their_bytes(pets):
    item = pets.stored("1.jpg", b"cat")
    annotate(pets, said(item, BOX))
    pets.batch({"op": "move", "id": item["id"], "key": "b/2.jpg"})
    pets.batch(put("b/2.jpg", b"another cat", expect=2))
    pets.batch({"op": "trash", "id": item["id"]})
    pets.post("restore", {"ids": [item["id"]]})
    (one,) = read(pets, item)
    assert one["item"]["sha256"] == digest(b"another cat")
    assert one["item"]["annotated"] == 1
    assert one["sets"][0]["digest"] == digest(b"cat")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "SECONDS", 60.0)  # a child may take its time to start
    with opened(tmp_path / "data") as store:
        yield store


def kept(store: Store) -> int:
    with store.catalogue.read() as tx:
        return len(tx.execute(schema.annotation_sets.select()).all())


def annotated(store: Store, dataset: str, key: str, body: bytes):
    (result,) = store.batch(dataset, "me", packed([put(key, body)]))
    some = AnnotationSet(
        item_id=result.item.id, operation="ann", model=False, digest=digest(body),
        annotations=(annotation(BOX),),
    )  # fmt: skip
    (done,) = annotating.annotate(store, dataset, "me", [some])
    assert done.status == "stored"
    return done.item


def test_purging_removes_annotations_and_sizes(store):
    pets = store.make_dataset("pets")[0].id
    for n in range(3):
        annotated(store, pets, f"{n}.jpg", jpeg(n + 8, 5))
    ids = [item.id for item in store.catalogue.page(pets).rows]
    found, done = sizes.Sizes(store).of(pets, ids)
    assert ([one.size for one in found], done) == ([(8, 5, None), (9, 5, None), (10, 5, None)], 3)
    store.batch(pets, "me", packed([{"op": "trash", "id": id} for id in ids[:2]]))
    assert kept(store) == 3
    trash.empty(store, pets, "me")
    assert kept(store) == 1
    with store.catalogue.read() as tx:
        assert len(tx.execute(schema.pictures.select()).all()) == 1
        assert not garbage.unused(tx, 2**62)
    assert annotating.told(store, pets, ids)[0][0].item.id == ids[2]


def test_a_backup_holds_annotations(store, tmp_path):
    pets = store.make_dataset("pets")[0].id
    item = annotated(store, pets, "1.jpg", b"cat")
    backup.backup(store.data, tmp_path / "backup")
    gone = AnnotationSet(item_id=item.id, operation="ann", model=False, digest=digest(b"cat"),
                         annotations=())  # fmt: skip
    annotating.annotate(store, pets, "me", [gone])
    assert kept(store) == 0
    backup.restore_open(store, tmp_path / "backup")
    (told,), _ = annotating.told(store, pets, [item.id])
    assert [row.operation for row in told.sets] == ["ann"]
    assert told.item.annotated == 1


def test_a_catalogue_of_before_follows(tmp_path):
    with opened(tmp_path / "data") as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put("1.jpg", b"cat")]))
        file = store.root / "catalogue.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.execute("DROP TABLE annotations")
        old.execute("DROP TABLE pictures")
        old.execute("ALTER TABLE items DROP COLUMN annotated")
        old.execute("ALTER TABLE items DROP COLUMN annotated_by")
        old.execute("UPDATE meta SET value = '1' WHERE name = 'schema'")
    for _ in range(2):
        with opened(tmp_path / "data") as store:
            assert store.catalogue.words["schema"] == str(schema.VERSION)
            (item,) = store.catalogue.page(pets).rows
            assert (item.annotated, item.annotated_by) == (0, "")
    with opened(tmp_path / "data") as store:
        assert annotated(store, pets, "2.jpg", b"dog").annotated == 1


def test_pictures_measured_without_their_orientation_are_measured_again(tmp_path):
    with opened(tmp_path / "data") as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put("1.jpg", turned("JPEG"))]))
        file = store.root / "catalogue.db"
        ids = [item.id for item in store.catalogue.page(pets).rows]
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.execute("DROP TABLE pictures")
        old.execute("CREATE TABLE pictures (digest BLOB PRIMARY KEY, width BIGINT, height BIGINT)")
        old.execute("INSERT INTO pictures SELECT digest, 30, 20 FROM items")
        old.execute("UPDATE meta SET value = '2' WHERE name = 'schema'")
    for _ in range(2):
        with opened(tmp_path / "data") as store:
            assert [one.size for one in sizes.Sizes(store).of(pets, ids)[0]] == [(30, 20, 6)]
