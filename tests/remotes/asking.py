"""How the contract's tests speak to a dataset, and the two hands that have it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from syncd.model import Item
from syncd.remotes.base import (
    Dataset,
    Outcome,
    Remote,
    Upload,
)

ODD = (
    "ä.jpg", "a\u0308.jpg", "line\nfeed.jpg", "🐈.jpg", "A.JPG", "a.jpg", "x" * 251 + ".jpg",
    " spaces .jpg", "100%25.jpg", "a?b#c&d=e.jpg", "~tilde~2.jpg", "\u202eevil.jpg", '"q".jpg',
    "folder/with space/ä/🐈.jpg",
)  # fmt: skip
_numbers = count()


@pytest.fixture
def dataset(remote: Remote, name: str) -> Dataset:
    return remote.open(name, create=True, source="mirror:me")


@pytest.fixture
def other(remote: Remote, name: str, dataset: Dataset) -> Dataset:
    """The same dataset, in the hands of somebody else."""
    return remote.open(name, create=False, source="ann")


def upload(
    key: str, content: bytes, *, expect: int | None = None, item: Item | None = None,
    file: Path | None = None,
) -> Upload:  # fmt: skip
    return Upload(
        key=key,
        digest=sha256(content).hexdigest(),
        size=len(content),
        file=file or Path("/nonexistent"),
        content=None if file else content,
        modified_ns=1_600_000_000_123_456_789,
        expect=item.version if item else expect,
        item_id=item.id if item else None,
    )


def good(outcomes: Sequence[Outcome]) -> list[Item]:
    found = []
    for outcome in outcomes:
        assert outcome.error is None, outcome
        assert outcome.item
        found.append(outcome.item)
    return found


def put(dataset: Dataset, key: str, content: bytes, **more) -> Item:
    """Store something; the item as the listing has it, which the outcome must have told right."""
    told = good(dataset.put([upload(key, content, **more)]))[0]
    item = next(item for item in dataset.items() if item.id == told.id)
    assert (item.key, item.version, item.digest) == (told.key, told.version, told.digest)
    return item


def one(outcomes: Sequence[Outcome]) -> Outcome:
    assert len(outcomes) == 1
    return outcomes[0]


def keys(dataset: Dataset, folder: str = "") -> list[str]:
    return [item.key for item in dataset.items(folder)]


def content(dataset: Dataset, item: Item) -> bytes:
    return b"".join(dataset.read(item))
