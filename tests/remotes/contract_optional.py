"""The contract's second half: removals, and what is tried only where a dataset offers it."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from hashlib import sha256

import pytest

from syncd.errors import ConflictError, MissingError, SyncdError
from syncd.model import Item, ItemState
from syncd.remotes.base import Dataset, Feeds, Fetches, Move, Moves, Outcome, Removal, Trashes
from tests.remotes.asking import content, good, keys, one, put, upload

# --- removing -------------------------------------------------------------------------------------


def removal(item: Item, **more) -> Removal:
    return Removal(**{"item_id": item.id, "expect": item.version, "key": item.key} | more)


def test_what_is_removed_is_gone_and_again_is_the_same(dataset):
    item, kept = put(dataset, "1.jpg", b"x"), put(dataset, "2.jpg", b"y")
    for _ in range(2):
        assert one(dataset.remove([removal(item)])).error is None
    assert list(dataset.items()) == [kept]


def test_gone_for_good(dataset):
    item = put(dataset, "1.jpg", b"x")
    for _ in range(2):
        assert one(dataset.remove([removal(item, forever=True)])).error is None
    assert keys(dataset) == []
    with pytest.raises(SyncdError):
        content(dataset, item)


def test_what_somebody_changed_is_not_removed(dataset, other):
    item = put(dataset, "1.jpg", b"first")
    theirs = put(other, "1.jpg", b"theirs", item=item)
    outcome = one(dataset.remove([removal(item)]))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item == theirs
    assert list(dataset.items()) == [theirs]


def test_removing_what_never_was(dataset):
    outcome = one(dataset.remove([Removal(item_id="f" * 32, expect=1, key="x.jpg")]))
    assert isinstance(outcome.error, MissingError)


def test_a_name_is_free_after_a_removal(dataset):
    item = put(dataset, "1.jpg", b"x")
    dataset.remove([removal(item)])
    assert put(dataset, "1.jpg", b"x").id != item.id


# --- moving ---------------------------------------------------------------------------------------


@pytest.fixture
def moves(dataset):
    if not isinstance(dataset, Moves):
        pytest.skip("this dataset does not move items")
    return dataset


def move(item: Item, key: str, **more) -> Move:
    return Move(**{"item_id": item.id, "expect": item.version, "key": key} | more)


def test_a_move_keeps_id_and_content_and_again_is_the_same(moves):
    item = put(moves, "a/1.jpg", b"x")
    moved = good(moves.move([move(item, "b/2.png")]))[0]
    assert (moved.id, moved.key, moved.digest) == (item.id, "b/2.png", item.digest)
    assert good(moves.move([move(item, "b/2.png")]))[0] == moved
    assert list(moves.items()) == [moved]
    assert content(moves, moved) == b"x"


def test_a_move_onto_a_taken_name(moves):
    first, second = put(moves, "1.jpg", b"x"), put(moves, "2.jpg", b"y")
    outcome = one(moves.move([move(first, "2.jpg")]))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item == second


def test_what_somebody_changed_is_not_moved(moves, other):
    item = put(moves, "1.jpg", b"x")
    theirs = put(other, "1.jpg", b"theirs", item=item)
    outcome = one(moves.move([move(item, "2.jpg")]))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item == theirs


def test_what_is_trashed_is_not_moved(moves):
    item = put(moves, "1.jpg", b"x")
    moves.remove([removal(item)])
    assert isinstance(one(moves.move([move(item, "2.jpg")])).error, MissingError)


def test_moves_of_one_batch_come_after_each_other(moves):
    a, b = put(moves, "a.jpg", b"a"), put(moves, "b.jpg", b"b")
    version = a.version + 1 if a.version is not None else None
    batch = [move(a, "~aside"), move(b, "a.jpg"), move(a, "b.jpg", expect=version)]
    good(moves.move(batch))
    assert {item.key: item.id for item in moves.items()} == {"a.jpg": b.id, "b.jpg": a.id}


# --- the feed -------------------------------------------------------------------------------------


@pytest.fixture
def feed(dataset):
    if not isinstance(dataset, Feeds):
        pytest.skip("this dataset has no feed")
    return dataset


def news(feed: Feeds, cursor: int = 0, **more) -> tuple[list[Item], int]:
    found: list[Item] = []
    while True:
        page = feed.changes(cursor, **more)
        found += page.items
        cursor = page.cursor
        if not page.more:
            return found, cursor


def test_the_feed_tells_what_others_did_and_where_it_stands(feed, other):
    mine = put(feed, "1.jpg", b"x")
    theirs = put(other, "2.jpg", b"y")
    found, cursor = news(feed)
    assert found == [theirs]
    assert news(feed, mine=True)[0] == [mine, theirs]
    assert news(feed, cursor) == ([], cursor)
    changed = put(other, "1.jpg", b"z", item=mine)
    assert news(feed, cursor)[0] == [changed]


def test_the_feed_tells_of_tombstones(feed, other):
    trashed, purged = put(feed, "1.jpg", b"x"), put(feed, "2.jpg", b"y")
    _, cursor = news(feed)
    other.remove([removal(trashed), removal(purged, forever=True)])
    found, _ = news(feed, cursor)
    assert [(item.id, item.state, item.by) for item in found] == [
        (trashed.id, ItemState.TRASHED, "ann"),
        (purged.id, ItemState.PURGED, "ann"),
    ]


def test_the_feed_tells_each_item_once_in_its_present_state(feed, other):
    item = put(other, "1.jpg", b"x")
    for n in range(3):
        item = put(other, "1.jpg", b"%d" % n, item=item)
    assert news(feed)[0] == [item]


def test_a_long_feed_comes_in_pages(feed, other):
    for start in range(0, 1500, 500):
        good(other.put([upload(f"{n}.jpg", b"%d" % n) for n in range(start, start + 500)]))
    assert feed.changes(0).more
    assert len(news(feed)[0]) == 1500


def test_the_generation_stays(feed):
    assert feed.generation() == feed.generation() == feed.changes(0).generation != ""


# --- the trash ------------------------------------------------------------------------------------


@pytest.fixture
def trash(dataset):
    if not isinstance(dataset, Trashes):
        pytest.skip("this dataset has no trash")
    return dataset


def test_what_was_trashed_can_be_had_back(trash):
    item = put(trash, "1.jpg", b"x")
    trash.remove([removal(item)])
    (found,) = trash.trashed()
    assert (found.id, found.state) == (item.id, ItemState.TRASHED)
    back = good(trash.restore([found]))[0]
    assert (back.id, back.key, back.state) == (item.id, "1.jpg", ItemState.PRESENT)
    assert content(trash, back) == b"x"
    assert list(trash.trashed()) == []


def test_not_onto_a_name_that_is_taken_again(trash):
    item = put(trash, "1.jpg", b"x")
    trash.remove([removal(item)])
    taken = put(trash, "1.jpg", b"y")
    outcome = one(trash.restore(list(trash.trashed())))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item == taken


def test_an_empty_trash_gives_nothing_back(trash):
    item = put(trash, "1.jpg", b"x")
    trash.remove([removal(item)])
    assert trash.empty_trash() == 1
    assert trash.empty_trash() == 0
    assert list(trash.trashed()) == []
    assert isinstance(one(trash.restore([item])).error, MissingError)


def test_who_took_it_away_is_not_who_emptied_the_trash(trash, other, feed):
    mine, theirs = put(trash, "1.jpg", b"x"), put(trash, "2.jpg", b"y")
    trash.remove([removal(mine)])
    other.remove([removal(theirs)])
    other.empty_trash()
    found = {item.id: (item.state, item.by) for item in news(feed, mine=True)[0]}
    assert found == {
        mine.id: (ItemState.PURGED, "mirror:me"),
        theirs.id: (ItemState.PURGED, "ann"),
    }


# --- at once --------------------------------------------------------------------------------------


def test_of_two_that_want_one_name_one_gets_it(dataset, other):
    found: list[Outcome] = []
    start = threading.Barrier(2)

    def ask(dataset: Dataset, body: bytes) -> None:
        start.wait()
        for n in range(20):
            found.extend(dataset.put([upload(f"{n}.jpg", body)]))

    threads = [
        threading.Thread(target=ask, args=(dataset, b"ours")),
        threading.Thread(target=ask, args=(other, b"theirs")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcome.error is None for outcome in found) == 20
    assert sum(isinstance(outcome.error, ConflictError) for outcome in found) == 20
    held = {item.id: content(dataset, item) for item in dataset.items()}
    winners = [outcome.item for outcome in found if outcome.error is None]
    assert len(held) == 20
    assert all(sha256(held[item.id]).hexdigest() == item.digest for item in winners if item)


# --- versions that were replaced, and many bodies at once -----------------------------------------


@pytest.fixture
def fetches(dataset):
    if not isinstance(dataset, Fetches):
        pytest.skip("this dataset does not send many bodies at once")
    return dataset


def test_a_replaced_version_is_read_as_it_was_or_not_at_all(dataset):
    first = put(dataset, "1.jpg", b"first")
    second = put(dataset, "1.jpg", b"second, longer", item=first)
    assert content(dataset, first) == b"first"
    assert b"".join(dataset.read(first, 1, 3)) == b"irs"
    assert content(dataset, second) == b"second, longer"
    never = replace(second, digest=sha256(b"never").hexdigest())
    with pytest.raises(MissingError):
        content(dataset, never)


def test_many_bodies_come_in_the_order_asked(fetches):
    bodies = {f"{n % 5}/{n}.jpg": b"%d" % n * (n * 7 % 100) for n in range(300)}
    items = good(fetches.put([upload(key, body) for key, body in bodies.items()]))
    random.shuffle(items)
    answers = list(fetches.fetch(items))
    assert [item for item, _ in answers] == items
    assert [body for _, body in answers] == [bodies[item.key] for item in items]
    assert list(fetches.fetch([])) == []


def test_bodies_of_every_size_at_once(fetches):
    sizes = (0, 1, 70_000, 3_000_000, 5, 300_000, 0)
    bodies = [random.randbytes(size) for size in sizes]
    items = [put(fetches, f"{n}.jpg", body) for n, body in enumerate(bodies)]
    assert [body for _, body in fetches.fetch(items)] == bodies


def test_one_that_is_gone_does_not_hinder_the_others(fetches):
    items = [put(fetches, f"{n}.jpg", b"%d" % n) for n in range(4)]
    fetches.remove([removal(items[1], forever=True), removal(items[2])])
    stray = replace(items[3], digest=sha256(b"another dataset's").hexdigest())
    bodies = [body for _, body in fetches.fetch([*items, stray])]
    assert bodies[0] == b"0"
    assert isinstance(bodies[1], MissingError)
    assert bodies[2:4] == [b"2", b"3"]
    assert isinstance(bodies[4], MissingError)


def test_replaced_and_present_versions_at_once(fetches):
    first = put(fetches, "1.jpg", b"first")
    second = put(fetches, "1.jpg", b"second", item=first)
    assert [body for _, body in fetches.fetch([first, second, first])] == [
        b"first", b"second", b"first",
    ]  # fmt: skip


def test_who_stops_listening_does_no_harm(fetches):
    items = [put(fetches, f"{n}.jpg", random.randbytes(200_000)) for n in range(20)]
    answers = iter(fetches.fetch(items))
    next(answers)
    answers.close()
    assert [item for item, _ in fetches.fetch(items)] == items
