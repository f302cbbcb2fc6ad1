"""What is guessed about the next reads: in order, backwards, in strides, at random."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from syncd.model import Item
from syncd.mount.blocks.ahead import WINDOW_BLOCKS, WINDOW_FILES, Epochs, Orders, Runs

ITEMS = [Item(key=f"{n:04}", id=f"i{n}", size=5_000) for n in range(3000)]
PLACE = {item.id: n for n, item in enumerate(ITEMS)}


def after(item, count):
    return ITEMS[PLACE[item.id] + 1 :][:count]


class Shelf:
    """Reads through `Orders` as the reader does: what was fetched is a hit."""

    def __init__(self):
        self.orders = Orders()
        self.orders.neighbours = after
        self.held, self.missed, self.ahead = set(), 0, 0

    def read(self, item):
        missed = item.id not in self.held
        self.missed += missed
        wanted = self.orders.seen(item, missed=missed)
        fresh = [one.id for one in wanted if one.id not in self.held]
        self.ahead += len(fresh)
        self.held |= {item.id, *fresh}
        return wanted


def test_reading_in_order_misses_only_at_the_beginning():
    shelf = Shelf()
    longest = max(len(shelf.read(item)) for item in ITEMS)
    assert shelf.missed == 2
    assert WINDOW_FILES // 2 < longest <= WINDOW_FILES
    assert shelf.held == set(PLACE)
    assert len(shelf.orders._expected) == 0


def test_readers_who_share_an_order_or_have_their_own():
    shelf = Shelf()
    for part in zip(ITEMS[:1000], ITEMS[1000:2000], strict=True):
        for item in part:
            shelf.read(item)
    assert shelf.missed <= 4
    shared = Shelf()
    for item in ITEMS[::4]:  # one of four readers who take turns
        shared.read(item)
    assert shared.missed <= 3


def test_a_little_disorder_does_no_harm():
    shelf = Shelf()
    for start in range(0, 3000, 4):
        for item in random.sample(ITEMS[start : start + 4], 4):
            shelf.read(item)
    assert shelf.missed < 12


def test_reading_at_random_fetches_little_in_vain():
    shelf = Shelf()
    for item in random.sample(ITEMS, 600):
        shelf.read(item)
    assert shelf.ahead < 1200  # about 300; of 4,000 orders one came to 771


def test_reading_again_asks_for_nothing():
    shelf = Shelf()
    for item in ITEMS:
        shelf.read(item)
    for item in ITEMS:
        assert shelf.read(item) == ()


def test_big_files_among_small_ones_are_left_out():
    orders = Orders()
    big = Item(key="big", id="big", size=50_000_000)
    orders.neighbours = lambda item, count: [big, *after(item, count)] if item is not big else []
    orders.seen(ITEMS[0], missed=True)
    wanted = orders.seen(ITEMS[1], missed=True)
    assert wanted
    assert big not in wanted[4:]


def blocks_of(run, wanted=lambda block: True, blocks=200):
    held: set[int] = set()
    runs, missed, ahead = Runs(), 0, 0
    for block in run:
        missed += block not in held
        more = set(runs.seen("f", block, blocks)) - held
        ahead += len(more)
        assert all(0 <= one < blocks for one in more)
        held |= {block, *more}
    return missed, ahead


def test_a_file_read_in_order_is_ahead_of_its_reader():
    in_parts = [block for block in range(200) for _ in range(8)]
    missed, ahead = blocks_of(in_parts)
    assert missed == 2
    assert ahead == 198
    swapped = list(in_parts)
    for at in range(0, len(swapped) - 1, 3):
        swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
    assert blocks_of(swapped)[0] <= 3


def test_a_file_read_backwards_or_at_random_is_not():
    assert blocks_of(range(199, -1, -1)) == (200, 0)
    assert blocks_of(random.sample(range(0, 200, 2), 100))[1] < 40


@given(st.lists(st.integers(0, 60), max_size=80))
def test_no_block_beyond_the_file_or_the_window(run):
    runs = Runs()
    for block in run:
        found = runs.seen("f", block, 61)
        assert len(found) <= WINDOW_BLOCKS
        assert all(block < one <= 60 for one in found)


def test_many_files_are_forgotten_again():
    runs = Runs()
    for number in range(1000):
        runs.seen(str(number), 0, 10)
    assert len(runs._runs) <= 64
    orders = Orders()
    orders.neighbours = lambda item, count: [Item(key=f"{item.id}{n}", id=f"{item.id}{n}")
                                             for n in range(count)]  # fmt: skip
    for number in range(5000):
        orders.seen(Item(key=str(number), id=f"x{number}-", size=1), missed=True)
    assert len(orders._expected) <= 8192


def test_many_misses_within_a_minute_tell_of_an_epoch():
    epochs = Epochs(2000, fits=True)
    found = [epochs.missed(n / 10) for n in range(100)]
    assert [n for n, made in enumerate(found) if made] == [39, 79]
    assert epochs.latest == 9.9
    slow = Epochs(2000, fits=True)
    assert not any(slow.missed(n * 5.0) for n in range(500))
    assert not any(Epochs(2000, fits=False).missed(0) for _ in range(500))
