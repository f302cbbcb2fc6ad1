"""Datasets to read: one that sends many bodies at once, and one that cannot; and bare caches."""

from __future__ import annotations

import pytest

from syncd.mount.blocks.cache import BlockCache
from syncd.remotes.memory import MemoryDataset, PlainDataset
from tests.blocks.pets import Pets


@pytest.fixture(params=[MemoryDataset, PlainDataset])
def pets(request, tmp_path):
    made = Pets(tmp_path / "cache", request.param)
    yield made
    made.close()


@pytest.fixture
def bulk(tmp_path):
    made = Pets(tmp_path / "cache")
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def opened(folder):
    made = []

    def open_(max_bytes=100 << 20, at=folder):
        made.append(BlockCache(at, max_bytes))
        return made[-1]

    yield open_
    for cache in made:
        cache.close()
