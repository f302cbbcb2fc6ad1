"""The hub keeps the contract: a real one, in a process of its own."""

from __future__ import annotations

from itertools import count

import pytest

from syncd.remotes.hub import HubRemote
from tests.remotes.asking import dataset, other  # noqa: F401
from tests.remotes.contract import *  # noqa: F403
from tests.remotes.contract_annotations import *  # noqa: F403
from tests.remotes.contract_optional import *  # noqa: F403

_numbers = count()


@pytest.fixture
def remote(hub):
    made = HubRemote(hub.url, hub.token)
    yield made
    made.close()


@pytest.fixture
def name():
    return f"contract-{next(_numbers)}"
