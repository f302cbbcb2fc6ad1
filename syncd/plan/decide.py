"""The decision table: what one path needs, given the disk, the remote and the last agreement.

The engine calls `decide` for every row that is due and carries the action out. What must stay
true: an item changed at the remote since the receipt is never replaced, moved or removed; what a
person trashed is not sent again; a removal needs the file to be gone and the policy to say so.
The whole table is printed in docs/semantics.md, from these very functions.

What an action's `key` means: PUT, MOVE: the key the item is to get. REPLACE, REMOVE: where the
item is now; the version to expect is the remote's. ADOPT: the path's key from now on. Where an
item was renamed at the remote, the path keeps that name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from syncd.model import Action, Item, ItemState, Local, OnDelete, Policy, Receipt, Triple, Verb

MIRRORS = "mirror:"
"""How the name of a source begins that is a syncd, and not a person."""


class _Choice(NamedTuple):
    verb: Verb
    key: str
    reason: str


def decide(triple: Triple, policy: Policy) -> Action:
    """Choose the action for one path; `triple.remote` None means proven absent."""
    remote = None if _mirrored_away(triple.remote) else triple.remote
    receipt = triple.receipt
    if receipt and remote and remote.id != receipt.id:
        # Ours is gone, and what has its name now was never ours.
        remote, receipt = (remote, None) if triple.local else (None, receipt)
    choice = _choose(triple.key, triple.local, remote, receipt, policy)
    return Action(
        verb=choice.verb, path=triple.path, key=choice.key, reason=choice.reason, triple=triple
    )


def relocate(triple: Triple, origin: Triple, policy: Policy) -> Action:
    """Choose the action for a file that was at `origin` before: MOVE where its item may follow and
    nothing is in the way, else as `decide`; then `origin` is to be decided on its own."""
    action = decide(triple, policy)
    if action.verb not in (Verb.PUT, Verb.HOLD) or not movable(origin, policy):
        return action
    return replace(action, verb=Verb.MOVE, reason=f"moved from {origin.path}", origin=origin)


def movable(origin: Triple, policy: Policy) -> bool:
    """Whether the item of a vanished path is still what was stored, and can be moved at all."""
    remote, receipt = origin.remote, origin.receipt
    if not policy.can_move or receipt is None or remote is None or _trashed(remote):
        return False
    return remote.id == receipt.id and _same_content(remote, receipt)


def _choose(
    key: str, local: Local | None, remote: Item | None, receipt: Receipt | None, policy: Policy
) -> _Choice:
    if local is None:
        return _gone(key, remote, receipt, policy)
    if local.digest is None and (receipt or remote):
        return _Choice(Verb.READ, key, "to be compared by content")
    if receipt is None:
        return _new(key, local, remote)
    if local.digest == receipt.digest:
        return _unchanged(key, remote, receipt, policy)
    return _changed(key, local, remote, receipt, policy)


def _gone(key: str, remote: Item | None, receipt: Receipt | None, policy: Policy) -> _Choice:
    if receipt is None:
        return _Choice(Verb.FORGET, key, "gone before it was sent")
    if remote is None or _trashed(remote):
        return _Choice(Verb.FORGET, key, "gone here and at the remote")
    if policy.on_delete is OnDelete.KEEP:
        return _Choice(Verb.FORGET, key, "gone here, kept at the remote")
    if policy.on_delete is OnDelete.TRASH and not policy.can_trash:
        return _Choice(Verb.FORGET, key, "gone here, kept at the remote, which has no trash")
    if policy.on_delete is OnDelete.DELETE and not policy.can_remove:
        return _Choice(Verb.FORGET, key, "gone here, kept at the remote, which cannot delete")
    ours = _same_content(remote, receipt) and remote.key == receipt.key
    if ours or _same_version(remote, receipt):
        return _Choice(Verb.REMOVE, remote.key, "gone here")
    return _Choice(Verb.CONFLICT, key, "gone here, changed at the remote")


def _new(key: str, local: Local, remote: Item | None) -> _Choice:
    if remote is None:
        return _Choice(Verb.PUT, key, "new here")
    if _trashed(remote):
        if remote.digest == local.digest:
            return _Choice(Verb.HOLD, key, "trashed at the remote")
        return _Choice(Verb.PUT, key, "new here, other content was trashed under its name")
    if remote.digest == local.digest:
        return _Choice(Verb.ADOPT, remote.key, "at the remote already")
    return _Choice(Verb.CONFLICT, key, "the name is taken by other content")


def _unchanged(key: str, remote: Item | None, receipt: Receipt, policy: Policy) -> _Choice:
    if remote is None:
        return _Choice(Verb.PUT, key, "vanished at the remote")
    if _trashed(remote):
        return _Choice(Verb.HOLD, key, "trashed at the remote")
    if not _same_content(remote, receipt):
        return _Choice(Verb.CONFLICT, key, "changed at the remote")
    if remote.key != receipt.key:
        return _Choice(Verb.ADOPT, remote.key, "renamed at the remote")
    if not _same_version(remote, receipt):
        return _Choice(Verb.ADOPT, key, "a newer version of the same content")
    if key == receipt.key:
        return _Choice(Verb.NOTHING, key, "in sync")
    if policy.can_move:
        return _Choice(Verb.MOVE, key, "belongs under another name")
    return _Choice(Verb.PUT, key, "belongs under another name, and the remote cannot move")


def _changed(
    key: str, local: Local, remote: Item | None, receipt: Receipt, policy: Policy
) -> _Choice:
    if remote is None:
        return _Choice(Verb.PUT, key, "changed here, vanished at the remote")
    if _trashed(remote):
        return _Choice(Verb.CONFLICT, key, "changed here, trashed at the remote")
    if remote.digest == local.digest:
        settled = key if remote.key == receipt.key else remote.key
        return _Choice(Verb.ADOPT, settled, "changed alike on both sides")
    if not _same_content(remote, receipt):
        return _Choice(Verb.CONFLICT, key, "changed on both sides")
    if not policy.can_replace:
        return _Choice(Verb.CONFLICT, key, "changed here, and the remote cannot replace")
    return _Choice(Verb.REPLACE, remote.key, "changed here")


def _trashed(item: Item) -> bool:
    return item.state is not ItemState.PRESENT


def _mirrored_away(item: Item | None) -> bool:
    """Whether only a mirror took it away, following its own disk: nobody decided against it."""
    return item is not None and _trashed(item) and item.by.startswith(MIRRORS)


def _same_version(remote: Item, receipt: Receipt) -> bool:
    """Versions decide where both are known, but never against a digest: a restored remote may
    give out a number again."""
    if remote.digest not in (None, receipt.digest):
        return False
    unknown = remote.version is None or receipt.version is None
    return unknown or remote.version == receipt.version


def _same_content(remote: Item, receipt: Receipt) -> bool:
    return remote.digest == receipt.digest or _same_version(remote, receipt)
