"""What every remote must do, as tests: a module of tests imports all of this and gives a fixture
`remote` (a Remote whose datasets nobody else touches) and `name` (a dataset that is not there).

What is optional is tried where the dataset offers it.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from syncd.errors import ConflictError, MissingError, NotFoundError, UnsettledError
from syncd.model import Item, ItemState
from syncd.remotes.base import Finds, Move, Moves
from tests.remotes.asking import ODD, content, good, keys, one, put, upload

# --- datasets -------------------------------------------------------------------------------------


def test_a_dataset_is_made_once_and_found_again(remote, name):
    with pytest.raises(NotFoundError):
        remote.open(name, create=False)
    made = remote.open(name, create=True)
    assert made.info.name == name
    assert remote.open(name, create=True).info.id == made.info.id
    assert remote.open(name, create=False).info.id == made.info.id
    assert name in [info.name for info in remote.datasets()]
    remote.check()


def test_counts(remote, name, dataset):
    put(dataset, "a.jpg", b"123")
    put(dataset, "b.jpg", b"12345")
    info = next(info for info in remote.datasets() if info.name == name)
    assert (info.items, info.bytes) == (2, 8)


# --- storing --------------------------------------------------------------------------------------


def test_what_is_stored_is_there(dataset):
    item = put(dataset, "a/1.jpg", b"content")
    assert item.key == "a/1.jpg"
    assert item.digest == sha256(b"content").hexdigest()
    assert (item.size, item.state) == (7, ItemState.PRESENT)
    assert item.modified_ns == 1_600_000_000_123_456_789
    assert item.by == "mirror:me"
    assert list(dataset.items()) == [item]
    assert content(dataset, item) == b"content"


def test_outcomes_are_in_the_order_of_the_batch(dataset):
    batch = [upload(f"{n % 7}/{n}.jpg", b"%d" % n) for n in range(100)]
    items = good(dataset.put(batch))
    assert [item.key for item in items] == [entry.key for entry in batch]
    assert [item.digest for item in items] == [entry.digest for entry in batch]


def test_the_same_batch_again_comes_to_the_same_end(dataset):
    batch = [upload("1.jpg", b"one"), upload("2.jpg", b"two")]
    first = good(dataset.put(batch))
    second = dataset.put(batch)
    assert good(second) == first
    assert [outcome.sent for outcome in second] == [0, 0]


def test_a_name_that_is_taken_is_a_conflict_that_shows_by_whom(dataset, other):
    theirs = put(other, "1.jpg", b"theirs")
    outcome = one(dataset.put([upload("1.jpg", b"ours")]))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item == theirs
    assert content(dataset, theirs) == b"theirs"


def test_the_same_content_under_a_taken_name_is_that_item(dataset, other):
    theirs = put(other, "1.jpg", b"same")
    assert put(dataset, "1.jpg", b"same") == theirs


def test_a_new_version_keeps_the_id(dataset):
    first = put(dataset, "1.jpg", b"first")
    second = put(dataset, "1.jpg", b"second", item=first)
    assert second.id == first.id
    assert second.version != first.version
    assert content(dataset, second) == b"second"
    assert list(dataset.items()) == [second]


def test_a_version_that_was_overtaken_is_not_replaced(dataset, other):
    first = put(dataset, "1.jpg", b"first")
    theirs = put(other, "1.jpg", b"theirs", item=first)
    outcome = one(dataset.put([upload("1.jpg", b"ours", item=first)]))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item == theirs
    assert content(dataset, theirs) == b"theirs"


def test_another_item_with_the_same_name_and_version_is_not_replaced(dataset, other):
    mover: object = other
    if not isinstance(mover, Moves):
        pytest.skip("without moves no other item gets the name")
    first = put(dataset, "1.jpg", b"first")
    good(mover.move([Move(item_id=first.id, expect=None, key="named.jpg")]))
    theirs = put(other, "1.jpg", b"theirs")
    assert theirs.version == first.version
    outcome = one(dataset.put([upload("1.jpg", b"ours", item=first)]))
    assert isinstance(outcome.error, ConflictError)
    assert content(dataset, theirs) == b"theirs"


def test_a_version_of_what_is_not_there(dataset):
    outcome = one(dataset.put([upload("1.jpg", b"x", expect=7)]))
    assert isinstance(outcome.error, ConflictError)
    assert outcome.item is None


def test_one_that_fails_does_not_hinder_the_others(dataset, other):
    put(other, "2.jpg", b"theirs")
    outcomes = dataset.put([upload(f"{n}.jpg", b"%d" % n) for n in range(4)])
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, True]
    assert sorted(keys(dataset)) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_two_names_for_one_content(dataset):
    items = good(dataset.put([upload("1.jpg", b"same"), upload("2.jpg", b"same")]))
    assert items[0].id != items[1].id
    assert [content(dataset, item) for item in items] == [b"same", b"same"]


def test_an_empty_file(dataset):
    assert content(dataset, put(dataset, "empty.jpg", b"")) == b""


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 300_000])
def test_bodies_of_every_size(dataset, size):
    body = bytes(range(256)) * (size // 256 + 1)
    item = put(dataset, "1.jpg", body[:size])
    assert content(dataset, item) == body[:size]
    assert put(dataset, "2.jpg", body[:size]).digest == item.digest


@pytest.mark.parametrize("size", [0, 5_000_000, 20_000_000])
def test_a_big_file_goes_from_disk(dataset, tmp_path, size):
    file = tmp_path / "big"
    body = sha256(b"seed").digest() * (size // 32)
    file.write_bytes(body)
    item = put(dataset, "big.mp4", body, file=file)
    assert item.size == len(body)
    assert sha256(content(dataset, item)).hexdigest() == item.digest
    again = one(dataset.put([upload("again.mp4", body, file=file)]))
    assert again.error is None


def test_a_big_file_that_changed_since_it_was_read_is_not_stored(dataset, tmp_path):
    file = tmp_path / "big"
    file.write_bytes(b"other" * 2_000_000)
    wrong = upload("big.mp4", b"right" * 2_000_000, file=file)
    fine = upload("1.jpg", b"fine")
    bad, well = dataset.put([wrong, fine])
    assert isinstance(bad.error, UnsettledError)
    assert well.error is None
    assert keys(dataset) == ["1.jpg"]


def test_a_big_file_that_is_gone_or_shorter(dataset, tmp_path):
    file = tmp_path / "big"
    file.write_bytes(b"r" * 100)
    short = upload("short.mp4", b"r" * 9_000_000, file=file)
    gone = upload("gone.mp4", b"g" * 9_000_000, file=tmp_path / "none")
    for outcome in dataset.put([short, gone]):
        assert isinstance(outcome.error, UnsettledError), outcome
    assert keys(dataset) == []


@pytest.mark.parametrize("key", ODD)
def test_odd_names_are_carried_exactly(dataset, key):
    item = put(dataset, key, b"odd")
    assert item.key == key
    assert keys(dataset) == [key]
    if isinstance(dataset, Finds):
        assert dataset.find(key) == item


def test_names_that_differ_by_case_or_form_are_two(dataset):
    good(dataset.put([upload(key, key.encode()) for key in ODD[:6]]))
    assert set(keys(dataset)) == set(ODD[:6])


# --- listing and reading --------------------------------------------------------------------------


def test_listings_are_ordered_by_folder_and_name_as_bytes(dataset):
    names = ["b.jpg", "a.jpg", "a/z.jpg", "a!/y.jpg", "a/b/x.jpg", "B.jpg", "ä.jpg", "a-b/1.jpg"]
    good(dataset.put([upload(name, name.encode()) for name in names]))
    ordered = sorted(names, key=lambda key: tuple(p.encode() for p in key.rpartition("/")[::2]))
    assert keys(dataset) == ordered


def test_a_folder_and_what_is_below_it_and_nothing_beside_it(dataset):
    names = ["a/1.jpg", "a/b/2.jpg", "a!/3.jpg", "ab/4.jpg", "a0/5.jpg", "5.jpg"]
    good(dataset.put([upload(name, name.encode()) for name in names]))
    assert set(keys(dataset, "a")) == {"a/1.jpg", "a/b/2.jpg"}
    assert keys(dataset, "none") == []


def test_more_than_a_page(dataset):
    for start in range(0, 2500, 500):
        good(dataset.put([upload(f"{n:04}.jpg", b"%d" % n) for n in range(start, start + 500)]))
    assert keys(dataset) == [f"{n:04}.jpg" for n in range(2500)]


def test_parts_of_an_item(dataset):
    item = put(dataset, "1.jpg", b"0123456789" * 1000)
    assert b"".join(dataset.read(item, 9_995)) == b"56789"
    assert b"".join(dataset.read(item, 10, 5)) == b"01234"
    assert b"".join(dataset.read(item, 0, 3)) == b"012"


def test_reading_what_is_not_there(dataset):
    item = put(dataset, "1.jpg", b"x")
    ghost = Item(key="2.jpg", id=item.id[:-1] + ("0" if item.id[-1] != "0" else "1"))
    with pytest.raises(MissingError):
        content(dataset, ghost)
