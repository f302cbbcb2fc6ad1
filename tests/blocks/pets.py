"""A dataset in memory with a cache and a reader, for tests that read; and what they share."""

from __future__ import annotations

import random
import time
from collections import Counter

from syncd.mount.blocks.cache import BLOCK, BlockCache
from syncd.mount.blocks.reader import Reader
from syncd.remotes.memory import MemoryDataset, MemoryRemote
from syncd.remotes.shelf import bytes_of

FILES = 300


class Pets:
    """A dataset in memory, a cache and a reader; `asked` counts the requests for bytes."""

    def __init__(self, folder, kind=MemoryDataset, max_bytes=200 * BLOCK, **options):
        self.remote = MemoryRemote(kind=kind)
        self.dataset = self.remote.open("pets", create=True)
        self.shelf = self.remote.shelves["pets"]
        self.asked: Counter[str] = Counter()
        self.fault = None
        self.remote.trouble = self.trouble
        self.cache = BlockCache(folder, max_bytes)
        self.options = options
        self.reader = Reader(self.dataset, self.cache, **options)

    def trouble(self, request):
        self.asked[request.call] += 1
        return self.fault

    def fill(self, count=FILES, size=3000):
        for n in range(count):
            self.shelf.store(f"a/{n:04}", random.randbytes(size))
        items = self.shelf.present()
        place = {item.id: n for n, item in enumerate(items)}
        self.reader.follow(lambda item, n: items[place[item.id] + 1 :][:n], lambda: items)
        return items

    def bytes_of(self, item):
        return bytes_of(self.shelf, item)

    def again(self):
        self.reader.close()
        self.reader = Reader(self.dataset, self.cache, **self.options)

    def requests(self):
        return self.asked["fetch"] + self.asked["read"]

    def close(self):
        self.reader.close()
        self.cache.close()


def whole(pets, item, step=128 * 1024):
    return b"".join(pets.reader.read(item, at, step) for at in range(0, item.size + 1, step))


def wait_for(true):
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
