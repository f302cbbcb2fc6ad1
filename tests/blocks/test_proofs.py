"""Big files held against their digests: by one at a time, and what came meanwhile is not lost."""

from __future__ import annotations

import threading
from hashlib import sha256

import pytest

from syncd.model import Item
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.proofs import Proofs

BODY = b"a" * BLOCK + b"b" * 1000
NAME = sha256(BODY).hexdigest()
ITEM = Item(key="1.mp4", id="1", digest=NAME, size=len(BODY))


@pytest.fixture
def cache(tmp_path):
    made = BlockCache(tmp_path / "cache", 100 * BLOCK)
    yield made
    made.close()


def put(cache, body=BODY):
    cache.put_all([(NAME, 0, body[:BLOCK]), (NAME, 1, body[BLOCK:])])


def test_who_comes_second_gives_nothing_up(cache, expect_log):
    expect_log("not those of its digest")
    put(cache, bytes(len(BODY)))
    begun, go = threading.Event(), threading.Event()

    def rest():
        if threading.current_thread() is first:
            begun.set()
            assert go.wait(10)
        return False

    proofs = Proofs(cache, rest)
    first = threading.Thread(target=proofs.prove, args=(ITEM, NAME))
    first.start()
    assert begun.wait(10)
    proofs.prove(ITEM, NAME)
    assert cache.blocks(NAME) == {0, 1}, "they are the first one's to give up"
    go.set()
    first.join()
    assert cache.blocks(NAME) == set()
    assert proofs.bad(NAME)
    put(cache)
    proofs.prove(ITEM, NAME)
    assert cache.whole(NAME)


def test_what_came_during_a_proof_is_looked_at_by_who_is_at_it(cache):
    put(cache)
    over = [True]

    def rest():
        proofs.prove(ITEM, NAME)
        return over.pop() if over else False

    proofs = Proofs(cache, rest)
    proofs.prove(ITEM, NAME)
    assert cache.whole(NAME)


def test_what_was_given_up_during_a_proof_is_not_proven(cache):
    put(cache)
    looked = []

    def rest():
        looked.append(1)
        if len(looked) == 2:  # after the last block, as when room is made
            cache.forget(NAME)
        return False

    proofs = Proofs(cache, rest)
    proofs.prove(ITEM, NAME)
    put(cache)
    assert not cache.whole(NAME)
    proofs.prove(ITEM, NAME)
    assert cache.whole(NAME)
