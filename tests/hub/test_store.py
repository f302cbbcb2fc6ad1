"""Operations on a real store: what they answer and what is there afterwards."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.clock import SystemClock
from syncd.errors import NotFoundError
from syncd.frame import FrameError
from syncd.hub import ops
from syncd.hub.store import Store
from tests.hub.asking import digest, opened, packed, put


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "data") as store:
        yield store


@pytest.fixture
def pets(store):
    return store.make_dataset("pets")[0].id


def do(store: Store, dataset: str, *some, by="me") -> list[ops.Result]:
    return store.batch(dataset, by, packed(list(some)))


def read(store: Store, item) -> bytes:
    fd, offset, size = store.open(item.digest)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def statuses(results) -> list[str]:
    return [result.status for result in results]


def count(store: Store, dataset: str) -> tuple[int, int]:
    row = store.catalogue.dataset(id=dataset)
    return row.items, row.bytes


def test_a_dataset_is_made_once(store):
    first, made = store.make_dataset("pets")
    second, again = store.make_dataset("pets")
    assert (made, again) == (True, False)
    assert first == second == store.catalogue.dataset(name="pets")


def test_a_put_is_stored_once_and_then_the_same(store, pets):
    first = do(store, pets, put("a/b.jpg", b"cat"))
    again = do(store, pets, put("a/b.jpg", b"cat"))
    assert statuses(first + again) == ["stored", "same"]
    assert first[0].item.id == again[0].item.id
    assert read(store, first[0].item) == b"cat"
    assert first[0].item.content_type == "image/jpeg"
    assert count(store, pets) == (1, 3)


def test_other_content_needs_the_version_it_replaces(store, pets):
    (first,) = do(store, pets, put("a", b"one"))
    taken, wrong, gone = do(
        store, pets, put("a", b"two"), put("a", b"two", expect=7), put("b", b"two", expect=1)
    )
    assert statuses([taken, wrong, gone]) == ["conflict"] * 3
    assert taken.item == wrong.item == first.item._replace(seq=taken.item.seq)
    assert gone.item is None
    (replaced,) = do(store, pets, put("a", b"two!", expect=1))
    assert (replaced.status, replaced.item.version, replaced.item.id) == (
        "stored", 2, first.item.id,
    )  # fmt: skip
    assert read(store, replaced.item) == b"two!"
    assert count(store, pets) == (1, 4)
    assert read(store, first.item) == b"one"  # the version before is kept for its time


def test_a_replacement_is_of_the_very_item_meant(store, pets):
    (old,) = (r.item for r in do(store, pets, put("a", b"one")))
    (new,) = do(store, pets, {"op": "trash", "id": old.id}, put("a", b"two"))[1:]
    other, meant, odd = do(
        store,
        pets,
        put("a", b"three", expect=1, id=old.id),
        put("a", b"three", expect=1, id=new.item.id),
        put("a", b"four", expect=2, id=5),
    )
    assert statuses([other, meant, odd]) == ["conflict", "stored", "refused"]
    assert other.item.id == meant.item.id == new.item.id


def test_bytes_that_are_held_need_not_be_sent(store, pets):
    lacking = do(store, pets, put("a", b"cat", body=None))
    do(store, pets, put("b", b"cat"))
    held = do(store, pets, put("a", b"cat", body=None))
    assert statuses(lacking + held) == ["missing", "stored"]
    assert store.missing([bytes(32), bytes.fromhex(digest(b"cat"))]) == [bytes(32)]


def test_a_wrong_body_or_size_stores_nothing_and_hurts_no_neighbour(store, pets):
    results = do(
        store,
        pets,
        put("a", b"cat", digest=digest(b"dog")),
        put("b", b"cat", size=4),
        put("../c", b"cat"),
        put("d", b"fine"),
        put("e", b"fine", body=None, size=5),
    )
    assert statuses(results) == ["mismatch", "mismatch", "refused", "stored", "mismatch"]
    assert count(store, pets) == (1, 4)


def test_the_same_content_many_times_in_a_batch_is_kept_once(store, pets):
    results = do(store, pets, *(put(f"f{n}", b"x" * 1000) for n in range(50)))
    assert statuses(results) == ["stored"] * 50
    assert sum(size for _, size in store.blobs.names()) == 1000


def test_empty_files_are_files(store, pets):
    (result,) = do(store, pets, put("empty", b""))
    assert result.status == "stored"
    assert read(store, result.item) == b""


def test_a_move_keeps_the_item(store, pets):
    (item,) = (r.item for r in do(store, pets, put("a/x.png", b"cat")))
    move = {"op": "move", "id": item.id, "expect": 1, "key": "b/c/y.gif"}
    moved, again = do(store, pets, move) + do(store, pets, move)
    assert statuses([moved, again]) == ["stored", "same"]
    assert (moved.item.id, moved.item.version) == (item.id, 2)
    assert (moved.item.folder, moved.item.name) == ("b/c", "y.gif")
    assert moved.item.content_type == "image/gif"
    with pytest.raises(NotFoundError):
        store.catalogue.item_at(pets, "a", "x.png")


def test_two_items_can_swap_their_names_in_one_batch(store, pets):
    a, b = (r.item.id for r in do(store, pets, put("a", b"1"), put("b", b"2")))
    steps = [
        {"op": "move", "id": a, "key": "tmp"},
        {"op": "move", "id": b, "key": "a"},
        {"op": "move", "id": a, "key": "b"},
    ]
    assert statuses(do(store, pets, *steps)) == ["stored"] * 3
    assert store.catalogue.item_at(pets, "", "a").id == b
    assert store.catalogue.item_at(pets, "", "b").id == a


def test_a_move_onto_a_taken_key_or_of_another_version_is_a_conflict(store, pets):
    a, b = (r.item for r in do(store, pets, put("a", b"1"), put("b", b"2")))
    taken, stale, unknown = do(
        store,
        pets,
        {"op": "move", "id": a.id, "expect": 1, "key": "b"},
        {"op": "move", "id": a.id, "expect": 9, "key": "c"},
        {"op": "move", "id": "0" * 32, "key": "c"},
    )
    assert statuses([taken, stale, unknown]) == ["conflict", "conflict", "missing"]
    assert (taken.item.id, stale.item.id) == (b.id, a.id)


def test_trash_then_a_new_item_at_the_same_key(store, pets):
    (old,) = (r.item for r in do(store, pets, put("a", b"cat")))
    trash = {"op": "trash", "id": old.id, "expect": 1}
    results = do(store, pets, trash, trash, put("a", b"cat"))
    assert statuses(results) == ["stored", "same", "stored"]
    assert results[2].item.id != old.id
    assert count(store, pets) == (1, 3)
    assert [row.id for row in store.catalogue.page(pets, trashed=True).rows] == [old.id]


def test_trash_of_another_version_is_a_conflict_and_of_nothing_missing(store, pets):
    (item,) = (r.item for r in do(store, pets, put("a", b"cat")))
    results = do(
        store,
        pets,
        {"op": "trash", "id": item.id, "expect": 2},
        {"op": "delete", "id": "0" * 32},
        {"op": "trash", "id": "ü"},
        {"op": "burn", "id": item.id},
        {"op": "delete", "id": item.id, "expect": 1},
        {"op": "delete", "id": item.id, "expect": 1},
    )
    assert statuses(results) == ["conflict", "missing", "refused", "refused", "stored", "same"]


def test_an_item_of_another_dataset_is_out_of_reach(store, pets):
    other = store.make_dataset("other")[0].id
    (item,) = (r.item for r in do(store, pets, put("a", b"cat")))
    moved, trashed = do(
        store, other, {"op": "move", "id": item.id, "key": "b"}, {"op": "trash", "id": item.id}
    )
    assert statuses([moved, trashed]) == ["missing", "missing"]
    assert store.catalogue.item(item.id) == item._replace(seq=store.catalogue.item(item.id).seq)


def test_a_batch_for_no_dataset_or_of_no_frame_does_nothing(store):
    with pytest.raises(NotFoundError):
        do(store, "nope", put("a", b"cat"))
    with pytest.raises(FrameError):
        store.batch("nope", "me", b"junk")
    assert store.missing([bytes.fromhex(digest(b"cat"))])


class Ticking(SystemClock):
    """A clock that no batch finds as the one before did."""

    now = 10**18

    def now_ns(self) -> int:
        self.now += 1_000_000
        return self.now


def test_ids_sort_by_time_and_are_never_given_twice(store, pets):
    store.clock = Ticking()
    ids = []
    for n in range(5):
        some = do(store, pets, *(put(f"{n}-{k}", b"%d" % k) for k in range(100)))
        ids += [r.item.id for r in some]
    assert len(set(ids)) == 500
    assert ids == sorted(ids)


NUMBERS = itertools.count()
KEYS = st.sampled_from(["a", "b", "d/a"])
BODIES = st.sampled_from([b"1", b"22", b"333"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, BODIES, st.booleans()),
        st.tuples(st.just("move"), KEYS, KEYS),
        st.tuples(st.sampled_from(["trash", "delete"]), KEYS),
    ),
    max_size=12,
)


def ops_of(steps, there):
    """The steps as operations of one batch on what is there before: (id, version, body) by key."""
    made = []
    for step in steps:
        id, version, _ = there.get(step[1], ("0" * 32, 1, b""))
        if step[0] == "put":
            expect = version if step[3] and step[1] in there else None
            made.append(put(step[1], step[2], expect=expect))
        elif step[0] == "move":
            made.append({"op": "move", "id": id, "expect": None, "key": step[2]})
        else:
            made.append({"op": step[0], "id": id, "expect": None})
    return made


def look(store, dataset):
    rows = store.catalogue.page(dataset).rows
    return {
        (f"{r.folder}/{r.name}" if r.folder else r.name): (r.id, r.version, read(store, r))
        for r in rows
    }


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """One store for all examples: each has datasets of its own in it."""
    with opened(tmp_path_factory.mktemp("hub") / "data") as store:
        do(store, store.make_dataset("first")[0].id, put("a", b"opens the pack"))
        yield store


@pytest.mark.timeout(300)  # a thousand commits, each of which waits for the disk
@given(batches=st.lists(STEPS, max_size=3))
@settings(max_examples=40)
def test_a_batch_does_what_its_steps_do_one_by_one(lasting, batches):
    """One batch of many ops, and many batches of one op, come to the same content, and the
    counts and the feed agree with what is there."""
    number = next(NUMBERS)
    whole, single = (lasting.make_dataset(f"{number}-{name}")[0].id for name in ("all", "one"))
    for steps in batches:
        at_once = do(lasting, whole, *ops_of(steps, look(lasting, whole)))
        one_by_one = [do(lasting, single, op)[0] for op in ops_of(steps, look(lasting, single))]
        assert statuses(at_once) == statuses(one_by_one)
        now = look(lasting, whole)
        contents = {key: (version, body) for key, (_, version, body) in now.items()}
        assert contents == {k: (v, b) for k, (_, v, b) in look(lasting, single).items()}
        assert count(lasting, whole) == (len(now), sum(len(b) for _, _, b in now.values()))
        news = lasting.catalogue.news(whole, 0, limit=1000, without=None).rows
        present = {row.id for row in news if row.state == "present"}
        assert present == {id for id, _, _ in now.values()}
