"""The decision table as text, with every cell asked of `decide`, so that it cannot lie.

A test writes it into docs/semantics.md between two markers, and enumerates the same cases under
every policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from syncd.model import Item, ItemState, Local, OnDelete, Policy, Receipt, Triple
from syncd.plan.decide import decide
from syncd.value import value

KEY, ELSEWHERE = "stop/005.jpg", "other/005.jpg"
_STORED, _EDITED, _THEIRS = "a" * 64, "b" * 64, "c" * 64
_ID, _OTHER_ID = "ours", "theirs"
_ALIKE = "newer version, the content that is here"


@value
class Case:
    """One combination of what is here, what was stored before and what is at the remote."""

    here: str
    before: str
    there: str
    triple: Triple


@value
class _Turn:
    """A circumstance that changes some rows, with the policy and the key it stands for."""

    label: str
    policy: Policy
    key: str = KEY


_TURNS = (
    _Turn(label="", policy=Policy()),
    _Turn(label="`on_delete = keep`", policy=Policy(on_delete=OnDelete.KEEP)),
    _Turn(label="the remote has no trash", policy=Policy(can_trash=False)),
    _Turn(
        label="`on_delete = delete`, and the remote cannot",
        policy=Policy(on_delete=OnDelete.DELETE, can_remove=False),
    ),
    _Turn(label="the remote cannot replace", policy=Policy(can_replace=False)),
    _Turn(label="the layout gives it another name now", policy=Policy(), key=ELSEWHERE),
    _Turn(label="... and the remote cannot move", policy=Policy(can_move=False), key=ELSEWHERE),
)

_LOCALS = {
    "gone": None,
    "there, not read yet": Local(stat=(1, 1, 1)),
    "there": Local(stat=(1, 1, 1), digest=_EDITED),
}
_AGREED = {**_LOCALS, "there": Local(stat=(1, 1, 1), digest=_STORED)}
_AGREED["there, changed"] = _LOCALS["there"]


def cases() -> Iterator[Case]:
    """Yield every case there is, with the path's key as it was stored."""
    receipt = Receipt(key=KEY, id=_ID, version=1, digest=_STORED)
    for label, local in _LOCALS.items():
        for there, remote in _strangers():
            yield _case(label, "no", there, local, remote, None)
    for label, local in _AGREED.items():
        for there, remote in _acquaintances():
            if there == _ALIKE and label != "there, changed":
                continue
            yield _case(label, "yes", there, local, remote, receipt)


def markdown() -> str:
    """The table, one line per distinct answer; a circumstance is named where it changes one."""
    merged: dict[tuple[str, ...], list[str]] = {}
    everything: dict[tuple[str, str], list[str]] = {}
    for case in cases():
        everything.setdefault((case.here, case.before), []).append(case.there)
        usual = _answer(case, _TURNS[0])
        for turn in _TURNS:
            answer = _answer(case, turn)
            if turn is _TURNS[0] or answer != usual:
                row = (case.here, case.before, turn.label, *answer)
                merged.setdefault(row, []).append(case.there)
    lines = ["| here | stored before | at the remote | if | then | because |", "|" + "---|" * 6]
    for (here, before, label, verb, reason), theres in merged.items():
        whatever = theres == everything[here, before]
        there = "whatever" if whatever else "; ".join(theres)
        lines.append(f"| {here} | {before} | {there} | {label} | {verb} | {reason} |")
    return "\n".join(lines) + "\n"


def _case(
    here: str, before: str, there: str, local: Local | None, remote: Item | None,
    receipt: Receipt | None,
) -> Case:  # fmt: skip
    triple = Triple(path=KEY, key=KEY, local=local, remote=remote, receipt=receipt)
    return Case(here=here, before=before, there=there, triple=triple)


def _answer(case: Case, turn: _Turn) -> tuple[str, str]:
    action = decide(replace(case.triple, key=turn.key), turn.policy)
    return action.verb.value, action.reason


def _strangers() -> Iterator[tuple[str, Item | None]]:
    """What may have the path's name where nothing was stored before."""
    yield "nothing", None
    yield "the same content", _item(id=_OTHER_ID, digest=_EDITED)
    yield "other content", _item(id=_OTHER_ID, digest=_THEIRS)
    yield "unknown content", _item(id=_OTHER_ID, digest=None)
    yield "trashed by a person: the same content", _tombstone(digest=_EDITED)
    yield "purged by a person: the same content", _tombstone(digest=_EDITED, purged=True)
    yield "trashed by a person: other content", _tombstone(digest=_THEIRS)
    yield "trashed by a mirror", _tombstone(digest=_EDITED, by="mirror:north")


def _acquaintances() -> Iterator[tuple[str, Item | None]]:
    """What may have become of the item that was stored."""
    yield "nothing", None
    yield "as stored", _item()
    yield "as stored, no versions told", _item(version=None)
    yield "as stored, no digests told", _item(digest=None)
    yield "newer version, the same content", _item(version=2)
    yield "renamed, as stored", _item(key=ELSEWHERE)
    yield "renamed, newer version, the same content", _item(key=ELSEWHERE, version=2)
    yield _ALIKE, _item(version=2, digest=_EDITED)
    yield "newer version, other content", _item(version=2, digest=_THEIRS)
    yield "newer version, unknown content", _item(version=2, digest=None)
    yield "the version stored, other content", _item(digest=_THEIRS)
    yield "renamed, newer version, other content", _item(key=ELSEWHERE, version=2, digest=_THEIRS)
    yield "trashed by a person", _tombstone(id=_ID)
    yield "purged by a person", _tombstone(id=_ID, purged=True)
    yield "trashed by a mirror", _tombstone(id=_ID, by="mirror:north")
    yield "another item, the content stored before", _item(id=_OTHER_ID)
    yield "another item, other content", _item(id=_OTHER_ID, digest=_THEIRS)


def _item(
    *, id: str = _ID, key: str = KEY, version: int | None = 1, digest: str | None = _STORED
) -> Item:
    return Item(id=id, key=key, version=version, digest=digest)


def _tombstone(
    *, id: str = _OTHER_ID, digest: str = _STORED, by: str = "ann", purged: bool = False
) -> Item:
    state = ItemState.PURGED if purged else ItemState.TRASHED
    return Item(id=id, key=KEY, version=2, digest=digest, by=by, state=state)
