"""The remote in memory keeps the contract, with and without what is optional."""

from __future__ import annotations

import pytest

from syncd.remotes.memory import MemoryDataset, MemoryRemote, PlainDataset
from tests.remotes.asking import dataset, other  # noqa: F401
from tests.remotes.contract import *  # noqa: F403
from tests.remotes.contract_annotations import *  # noqa: F403
from tests.remotes.contract_optional import *  # noqa: F403


@pytest.fixture(params=[MemoryDataset, PlainDataset])
def remote(request):
    return MemoryRemote(kind=request.param)


@pytest.fixture
def name():
    return "pets"
