"""The hub keeps the contract: a real one, in a process of its own."""

from __future__ import annotations

from itertools import count

import pytest

from syncd.errors import UnsettledError
from syncd.remotes import hub as module
from syncd.remotes.base import Removal
from syncd.remotes.hub import HubRemote
from tests.remotes.asking import dataset, one, other, put, upload  # noqa: F401
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


def test_any_number_is_restored_in_several_requests(remote, dataset, monkeypatch):  # noqa: F811
    """The hub takes 10,000 ids at a time."""
    monkeypatch.setattr(module, "SOME", 2)
    items = [put(dataset, f"{n}.jpg", b"%d" % n) for n in range(5)]
    gone = [Removal(item_id=item.id, expect=item.version, key=item.key) for item in items]
    trashed = [outcome.item for outcome in dataset.remove(gone)]
    assert [o.key for o in dataset.restore(trashed)] == [item.key for item in items]
    assert {item.key for item in dataset.items()} == {item.key for item in items}
    assert not list(dataset.restore([]))


def test_bulk_answers_share_a_connection(remote, dataset):  # noqa: F811
    items = [put(dataset, f"{n}.jpg", b"x" * 100 * n) for n in range(5)]
    for _ in range(3):
        assert [body for _, body in dataset.fetch(items)] == [b"x" * 100 * n for n in range(5)]
    connections = remote._wire._client._transport._pool.connections
    assert len(connections) == 1


def test_a_file_is_sent_anew_where_another_began_it_with_wrong_bytes(
    remote,
    dataset,  # noqa: F811
    hub,
    tmp_path,
):
    right = b"right" * 2_000_000
    (tmp_path / "big").write_bytes(right)
    big = upload("big.mp4", right, file=tmp_path / "big")
    # Whole, but not asked for its end: the line was cut, or the hub was killed.
    (hub.data / "uploads" / f"{big.digest}-{big.size}").write_bytes(b"wrong" * 2_000_000)
    assert isinstance(one(dataset.put([big])).error, UnsettledError)
    assert one(dataset.put([big])).error is None
