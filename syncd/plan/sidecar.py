"""What a sidecar needs: the small decision table beside the big one of `decide`.

The engine asks for every sidecar that is due. A sidecar sets the annotations of the item whose
receipt its picture has; what it brought goes when it is deleted, and with nothing else. Without a
receipt that holds (the picture is absent, on its way, failed, in conflict) it waits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from syncd.value import value


class Kind(StrEnum):
    """What a file named like a sidecar was found to be."""

    UNREAD = "unread"
    SIDECAR = "sidecar"
    OTHER = "other"
    """JSON of another kind: nobody's business here, and counted with what no rule took."""
    BROKEN = "broken"
    """No JSON, or a sidecar that cannot be understood: reported until it changes."""


class Need(StrEnum):
    """The next step: `READ` finds out what it is, `WEIGH` holds it against the remote as well,
    and `REMOVE` takes away what it brought."""

    NOTHING = "nothing"
    WAIT = "wait"
    READ = "read"
    WEIGH = "weigh"
    REMOVE = "remove"
    FORGET = "forget"


@value
class Beside:
    """A sidecar as it is known: `item` is the one it was last set on, `current` whether what it
    says now was set there, `brought` whether anything of it may be at the remote."""

    gone: bool
    kind: Kind
    item: str | None
    current: bool
    brought: bool


@value
class Picture:
    """A path that holds, or held, an item: `item` is its receipt's where that can be relied on;
    `pending` tells that it is on its way to become so."""

    item: str | None
    gone: bool
    pending: bool


def need(beside: Beside, picture: Picture | None, owner: Picture | None, *, removes: bool) -> Need:
    """Choose for one sidecar; `picture` is the file it lies beside, `owner` the one that has the
    receipt of the item it was set on, and `removes` whether deletions count."""
    if beside.gone:
        return _gone(beside, owner, removes=removes)
    if beside.kind is Kind.OTHER and beside.brought:
        return _gone(beside, owner, removes=removes)  # It was a sidecar, and is none any more.
    if beside.kind in (Kind.OTHER, Kind.BROKEN):
        return Need.NOTHING
    if picture is not None and picture.item is not None:
        settled = beside.current and beside.item == picture.item
        return Need.NOTHING if settled else Need.WEIGH
    if picture is not None and picture.pending:
        return Need.WAIT
    return Need.READ if beside.kind is Kind.UNREAD else Need.WAIT


def _gone(beside: Beside, owner: Picture | None, *, removes: bool) -> Need:
    if not removes or not beside.brought or owner is None:
        # Where the picture went with it, its item keeps what it has, in the trash and after.
        return Need.FORGET
    return Need.WAIT if owner.gone else Need.REMOVE


@value
class Change:
    """What setting a sidecar comes to: operations to send and to take away, and those that are
    its own from now on."""

    send: tuple[str, ...]
    drop: tuple[str, ...]
    brought: tuple[str, ...]


def weigh(
    wanted: Mapping[str, object],
    there: Mapping[str, object],
    before: Collection[str],
    *,
    shown: bool,
) -> Change:
    """Hold what a sidecar says, by operation, against what the item has.

    `before` are the operations it brought earlier: those that it says no more are dropped. A
    sidecar that syncd itself had `shown` brings only what differs: what was there already, others
    brought.
    """
    send = tuple(op for op in sorted(wanted) if wanted[op] != there.get(op))
    own = [op for op in sorted(wanted) if not shown or op in send or op in before]
    drop = tuple(op for op in sorted(before) if op not in wanted and op in there)
    return Change(send=send, drop=drop, brought=tuple(own))
