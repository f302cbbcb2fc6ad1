"""Reading from a real hub: frozen, gone, back, and counted."""

from __future__ import annotations

import random
import threading
import time

import pytest

from syncd.errors import TransientError
from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.pause import PAUSE_SECONDS
from syncd.mount.blocks.reader import Reader
from syncd.remotes.hub import HubRemote
from tests.remotes.asking import good, put, upload


@pytest.fixture
def shelf(start_hub, tmp_path):
    """A hub with 300 small files and a big one, a cache, and a remote to read it with."""
    hub = start_hub()
    remote = HubRemote(hub.url, hub.token)
    dataset = remote.open("pets", create=True)
    bodies = {f"a/{n:04}": random.randbytes(2000) for n in range(300)}
    items = good(dataset.put([upload(key, body) for key, body in bodies.items()]))
    big = random.randbytes(5 * BLOCK + 77)
    items.append(put(dataset, "big.mp4", big))
    bodies["big.mp4"] = big
    cache = BlockCache(tmp_path / "cache", 1 << 28)
    yield hub, dataset, items, bodies, cache
    cache.close()
    remote.close()


def test_an_epoch_and_then_silence(shelf):
    hub, dataset, items, bodies, cache = shelf
    reader = Reader(dataset, cache)
    place = {item.id: n for n, item in enumerate(items)}
    reader.follow(lambda item, count: items[place[item.id] + 1 :][:count], lambda: items)
    for item in items:
        assert reader.read(item, 0, 1 << 30) == bodies[item.key]
    hub.freeze()
    for item in items:
        assert reader.read(item, 0, 1 << 30) == bodies[item.key]
    hub.thaw()
    reader.close()


def test_a_frozen_hub_ends_every_read_in_time_and_thaws(shelf):
    hub, dataset, items, bodies, cache = shelf
    reader = Reader(dataset, cache, deadline_s=0.5)
    assert reader.read(items[0], 0, 1 << 30) == bodies[items[0].key]
    hub.freeze()
    ended = []

    def read(item):
        began = time.monotonic()
        with pytest.raises(TransientError):
            reader.read(item, 0, 10)
        ended.append(time.monotonic() - began)

    threads = [threading.Thread(target=read, args=(item,)) for item in (*items[5:10], items[-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 6
    assert max(ended) < 2
    assert reader.read(items[0], 0, 1 << 30) == bodies[items[0].key]
    hub.thaw()
    time.sleep(PAUSE_SECONDS)
    reader._deadline = 30.0  # how fast a hub thaws is not the question
    for item in (*items[5:10], items[-1]):
        assert reader.read(item, 0, 1 << 30) == bodies[item.key]
    reader.close()


def test_a_hub_that_was_killed_and_started_again_goes_on_being_read(shelf):
    hub, dataset, items, bodies, cache = shelf
    reader = Reader(dataset, cache)
    assert reader.read(items[0], 0, 1 << 30) == bodies[items[0].key]
    hub.kill()
    began = time.monotonic()
    for item in items[5:30]:
        with pytest.raises(TransientError):
            reader.read(item, 0, 10)
    assert time.monotonic() - began < 2
    again = hub.again()
    end = time.monotonic() + 10
    while True:
        try:
            assert reader.read(items[40], 0, 1 << 30) == bodies[items[40].key]
            break
        except TransientError:
            assert time.monotonic() < end
            time.sleep(0.1)
    for item in items:
        assert reader.read(item, 0, 1 << 30) == bodies[item.key]
    reader.close()
    again.stop()
