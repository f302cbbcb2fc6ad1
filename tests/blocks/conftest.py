"""Datasets to read: one that sends many bodies at once, and one that cannot."""

from __future__ import annotations

import pytest

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
