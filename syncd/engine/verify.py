"""Is it all there, and is it what it should be? Reads bytes and compares digests."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from syncd.engine.opening import Target
from syncd.errors import DeniedError, SyncdError, TransientError
from syncd.local.ignore import Filter
from syncd.local.read import read
from syncd.local.scan import walk
from syncd.model import Item, Policy
from syncd.plan.layout import alternates
from syncd.remotes.base import Dataset
from syncd.state.store import State
from syncd.value import value

AHEAD = 256


@value
class Verdict:
    """What was compared, and what is wrong: (path or key, reason)."""

    checked: int
    bytes: int
    wrong: tuple[tuple[str, str], ...]


def bytes_of(dataset: Dataset) -> Verdict:
    """Read every item from the remote and compare with the digest it announces."""
    checked = size = 0
    wrong: list[tuple[str, str]] = []
    with ThreadPoolExecutor(dataset.traits.parallel * 2, "syncd-verify") as pool:
        items = dataset.items()
        while batch := list(islice(items, AHEAD)):
            for item, reason in zip(
                batch, pool.map(lambda i: _sound(dataset, i), batch), strict=True
            ):
                checked += 1
                size += item.size or 0
                if reason:
                    wrong.append((item.key, reason))
    return Verdict(checked=checked, bytes=size, wrong=tuple(wrong))


def _sound(dataset: Dataset, item: Item) -> str | None:
    hasher = hashlib.sha256()
    try:
        for chunk in dataset.read(item):
            hasher.update(chunk)
    except DeniedError:
        raise
    except TransientError as error:
        if not error.answered:
            raise  # The remote is away, which says nothing of the item.
        return f"cannot be read: {error}"
    except SyncdError as error:
        return f"cannot be read: {error}"
    return None if hasher.hexdigest() == item.digest else "its bytes are not those of its digest"


def against_folder(dataset: Dataset, target: Target, mirrors: Path) -> Verdict:
    """Compare every candidate below the target's root with the item that should hold it."""
    root, options = target.root, target.options
    there = {item.key: item.digest for item in dataset.items()}
    state = State.snapshot(target.folder(mirrors))
    policy = Policy(layout=options.layout, prefix=options.prefix)
    checked = size = 0
    wrong: list[tuple[str, str]] = []
    try:
        for listing in walk(root, Filter(extensions=options.extensions, patterns=options.ignore)):
            wrong += [(path, reason) for path, reason in listing.refused]
            if listing.error:
                wrong.append((listing.dir or str(root), listing.error))
            for name, stat in listing.files.items():
                path = f"{listing.dir}/{name}" if listing.dir else name
                checked += 1
                size += stat[0]
                reason = _held(root, path, there, state, policy)
                if reason:
                    wrong.append((path, reason))
    finally:
        state.close()
    return Verdict(checked=checked, bytes=size, wrong=tuple(wrong))


def _held(
    root: Path, path: str, there: dict[str, str | None], state: State, policy: Policy
) -> str | None:
    try:
        digest = read(root, path, keep=0, settled=True).digest
    except SyncdError as error:
        return f"cannot be read: {error.message}"
    row = state.files.row(path)
    keys = [row.receipt.key] if row and row.receipt else list(islice(alternates(path, policy), 4))
    if any(there.get(key) == digest for key in keys):
        return None
    return "other content at the remote" if keys[0] in there else "not at the remote"
