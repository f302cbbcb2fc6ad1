"""Pairs of vanished and arrived files."""

from __future__ import annotations

from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from syncd.plan.moves import Arrived, Pairing, Vanished, pair


def gone(path, stat=(1, 1, 1), digest="a"):
    return Vanished(path=path, stat=stat, digest=digest, key=path)


def come(path, stat=(1, 1, 1), digest=None):
    return Arrived(path=path, stat=stat, digest=digest)


def moves(vanished, arrived):
    return dict(pair(vanished, arrived).moves)


def test_the_same_stat_is_the_same_file():
    assert pair([gone("a")], [come("b")]) == Pairing(moves=(("a", "b"),), unread=())


def test_a_digest_that_differs_has_the_last_word():
    assert moves([gone("a", digest="a")], [come("b", digest="b")]) == {}
    assert moves([gone("a", digest="a")], [come("b", digest="a")]) == {"a": "b"}


def test_the_same_digest_is_the_same_file():
    arrived = [come("b", (1, 9, 9), "a"), come("c", (1, 8, 8), "x")]
    assert moves([gone("a")], arrived) == {"a": "b"}
    assert moves([gone("a", None)], arrived) == {"a": "b"}


def test_a_stat_counts_more_than_a_digest():
    vanished = [gone("a", (1, 1, 1)), gone("b", (1, 2, 2))]
    arrived = [come("1", (1, 2, 2), "a"), come("2", (1, 3, 3), "a")]
    assert moves(vanished, arrived) == {"b": "1", "a": "2"}


def test_the_same_name_is_preferred_and_then_the_order_of_paths():
    vanished = [gone("x/3", None), gone("x/1", None), gone("x/2", None)]
    arrived = [come(f"y/{name}", (1, 0, 0), "a") for name in ("3", "4", "0")]
    assert moves(vanished, arrived) == {"x/3": "y/3", "x/1": "y/0", "x/2": "y/4"}
    vanished = [gone("x/3"), gone("x/1"), gone("x/2")]
    arrived = [come(f"y/{name}") for name in ("3", "4", "0")]
    assert moves(vanished, arrived) == {"x/3": "y/3", "x/1": "y/0", "x/2": "y/4"}


def test_what_may_be_left_to_find_is_to_be_read():
    arrived = [come("z", (1, 5, 5)), come("y", (2, 5, 6)), come("x", (1, 5, 7), "b"), come("w")]
    found = pair([gone("a"), gone("b", (1, 4, 4)), gone("c", None)], arrived)
    assert found == Pairing(moves=(("a", "w"),), unread=("z",))


def test_nothing_left_nothing_read():
    assert pair([], [come("a")]) == Pairing(moves=(), unread=())
    assert pair([gone("a", None)], [come("b")]) == Pairing(moves=(), unread=())


stats = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 2))
names = st.sampled_from([f"{folder}/{name}" for folder in "xyz" for name in "123"])
vanished_files = st.lists(
    st.builds(gone, names, st.none() | stats, st.sampled_from("ab")), unique_by=lambda f: f.path
)
arrived_files = st.lists(
    st.builds(come, names.map("new/".__add__), stats, st.none() | st.sampled_from("ab")),
    unique_by=lambda file: file.path,
)


@given(vanished_files, arrived_files, st.randoms(use_true_random=False))
def test_every_path_is_used_once_and_rightly_in_any_order(vanished, arrived, random):
    found = pair(vanished, arrived)
    old, new = {f.path: f for f in vanished}, {f.path: f for f in arrived}
    assert len({a for a, _ in found.moves}) == len({b for _, b in found.moves}) == len(found.moves)
    for a, b in found.moves:
        assert new[b].digest in (None, old[a].digest)
        assert old[a].stat == new[b].stat or old[a].digest == new[b].digest
    left = [f for f in vanished if f.path not in dict(found.moves)]
    free = [f for f in arrived if f.path not in dict(found.moves).values()]
    assert not {f.digest for f in left} & {f.digest for f in free if f.digest}
    sizes = {f.stat[0] for f in left if f.stat}
    assert list(found.unread) == sorted(
        f.path for f in free if f.digest is None and f.stat[0] in sizes
    )
    random.shuffle(vanished)
    random.shuffle(arrived)
    assert pair(vanished, arrived) == found


def test_ten_thousand_equal_files_are_paired_without_comparing_all_with_all():
    vanished = [gone(f"x/{number}", None) for number in range(10_000)]
    arrived = [come(f"y/{number + 5_000}", (1, 2, 3), "a") for number in range(10_000)]
    started = perf_counter()
    found = moves(vanished, arrived)
    assert len(found) == 10_000
    assert found["x/7000"] == "y/7000"
    assert perf_counter() - started < 5  # measured: 0.1 s; comparing all would take a minute
