"""Bodies as they come: whole, in part and in bulk, refused, given up and broken off."""

from __future__ import annotations

import random
from itertools import count

import pytest

from syncd.errors import MissingError, RejectedError, TransientError
from syncd.remotes.hub import HubRemote
from tests.remotes.asking import content, put

_numbers = count()


@pytest.fixture
def remote(hub):
    made = HubRemote(hub.url, hub.token)
    yield made
    made.close()


@pytest.fixture
def pets(remote):
    return remote.open(f"bodies-{next(_numbers)}", create=True)


def test_bodies_whole_in_part_and_in_bulk(pets):
    bodies = [random.randbytes(size) for size in (0, 1, 8_192, 2_500_000, 0, 70_000)]
    items = [put(pets, f"{n}.jpg", body) for n, body in enumerate(bodies)]
    for _ in range(3):
        assert [content(pets, item) for item in items] == bodies
        assert [body for _, body in pets.fetch(items)] == bodies
    assert b"".join(pets.read(items[3], 1_000_000, 1_200_000)) == bodies[3][1_000_000:2_200_000]


def test_refusals_are_the_same(pets):
    item = put(pets, "1.jpg", b"x")
    with pytest.raises(MissingError):
        pets._wire.json("GET", "/v1/items/none/content")
    with pytest.raises(MissingError):
        list(pets._wire.stream("/v1/items/none/content"))
    with pytest.raises(RejectedError), pets._wire.ask(f"{pets._path}/fetch", {"digests": 1}):
        pass
    assert content(pets, item) == b"x"


def test_a_body_that_is_not_wanted_to_its_end(hub):
    remote = HubRemote(hub.url, hub.token)
    pets = remote.open(f"bodies-{next(_numbers)}", create=True)
    half = pets.read(put(pets, "big.jpg", random.randbytes(3_000_000)))
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert content(pets, put(pets, "1.jpg", b"1")) == b"1"
    remote.close()


def test_a_hub_that_is_gone_or_frozen_is_away(start_hub):
    hub = start_hub()
    remote = HubRemote(hub.url, hub.token)
    pets = remote.open("bodies", create=True)
    item = put(pets, "1.jpg", b"x")
    assert content(pets, item) == b"x"
    patience, remote._wire._timeout = remote._wire._timeout, 0.3
    hub.freeze()
    with pytest.raises(TransientError):
        content(pets, item)
    hub.thaw()
    remote._wire._timeout = patience
    assert content(pets, item) == b"x"
    hub.kill()
    with pytest.raises(TransientError):
        list(pets.fetch([item]))
    remote.close()
