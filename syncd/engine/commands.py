"""What a person can tell a mirror: retry, approve, resolve, sweep, pause, resume, flush.

Carried out by the control thread of a running daemon, or by the command itself on the state file
under its lock where none runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from syncd.counted import counted
from syncd.engine.mirror import Command, Mirror
from syncd.engine.pull import bring, discard, exchange
from syncd.errors import ConflictError, NotFoundError, TransientError, UsageError
from syncd.local.inside import inside
from syncd.local.look import look
from syncd.model import Item, ItemState, Receipt
from syncd.plan.layout import suffixed
from syncd.remotes.base import Paced
from syncd.state.pause import RESTS, pause, resume
from syncd.state.row import Row
from syncd.state.store import State

log = logging.getLogger(__name__)

NEXT = "next watch or push"
"""What acts on an order that was given while nothing ran."""

Said = str | Future[str]
"""A sentence, at once or when a worker has done what takes long."""


def carry_out(mirror: Mirror, words: Sequence[str], *, running: bool = True) -> Said:
    """Do what was asked; return a sentence. Raises UsageError, NotFoundError.

    Where the mirror is not `running`, what takes turns is only noted, and the sentence says so."""
    verb, *rest = words
    verbs: dict[str, Callable[..., Said]] = {
        "retry": partial(_retry, running=running), "sweep": partial(_sweep, running=running),
        "approve": partial(_approve, running=running), "resolve": _resolve,
        "pause": _pause, "resume": _resume, "flush": _flush, "left": _left,
    }  # fmt: skip
    if verb not in verbs:
        raise UsageError(f"there is no command {verb!r}")
    return verbs[verb](mirror, *rest)


def _retry(mirror: Mirror, *, running: bool) -> str:
    """Try again now whatever failed, and ask the remote again."""
    troubles = mirror.state.troubles.all()
    mirror.state.meta.put(away=None)
    mirror.state.agenda.wake_troubled(mirror.clock.now_ns())
    mirror.sidecars.retry()
    files = counted(len(troubles), "file is", "files are")
    return f"{files} tried again" if running else f"noted: {files} tried at the {NEXT}"


def _sweep(mirror: Mirror, *, running: bool) -> str:
    mirror.sweep()
    mirror.comparison.want()
    if running:
        return "a sweep has begun"
    return f"noted: the {NEXT} compares with all the remote holds"


def _pause(mirror: Mirror, seconds: str = "") -> str:
    """Give out nothing until told to go on, or for so long; what is on its way breaks off."""
    said = pause(mirror.state.meta, mirror.clock.now_ns(), seconds)
    rest(mirror, RESTS)
    return said


def _resume(mirror: Mirror) -> str:
    said = resume(mirror.state.meta, mirror.clock.now_ns())
    if mirror.resting == RESTS:
        rest(mirror, None)
    return said


def rest(mirror: Mirror, reason: str | None) -> None:
    """Have the mirror rest, or go on where the reason is None."""
    mirror.resting = reason
    mirror.state.meta.put(resting=reason)
    if reason is None:
        # What was broken off by the pause made the remote look away.
        mirror.state.meta.put(away=None)
    if isinstance(mirror.dataset, Paced):
        pace = mirror.dataset.pace
        pace.hold(reason) if reason else pace.release()


def _flush(mirror: Mirror) -> str:
    """Look now at whatever waits for its quiet period, and try what waits for its next try."""
    why = mirror.guard.closed or mirror.resting
    if why:
        raise TransientError(f"nothing is sent now: {why}")
    now = mirror.clock.now_ns()
    mirror.lookout.hurry()
    mirror.state.agenda.hurry(now, now)
    return "flushing"


def _left(mirror: Mirror) -> str:
    """What is still on its way, in words; nothing where all is settled."""
    away = mirror.state.meta.get("away")
    if away:
        raise TransientError(f"the remote is away: {away['reason']}")
    return "" if mirror.quiet else "some files are on their way"


def _approve(mirror: Mirror, plan: str, *, running: bool) -> str:
    said = mirror.guard.approve(plan)
    if said is None:
        raise NotFoundError(f"no plan {plan!r} waits for approval", hint="see syncd status")
    mirror.sweep()
    mirror.comparison.want()
    mirror.state.agenda.wake_gone(mirror.clock.now_ns())
    # A push removes nothing, so that it is not named here.
    return f"approved: {said} {'now' if running else 'at the next watch'}"


def _resolve(mirror: Mirror, path: str, choice: str) -> Said:
    row, remote = _contested(mirror, path)
    choices: dict[str, Callable[..., Said]] = {
        "local": _take_local, "remote": _take_remote, "both": _take_both,
    }  # fmt: skip
    if choice not in choices:
        raise UsageError(f"{choice!r} is no answer: it is one of {', '.join(choices)}", path=path)
    said = choices[choice](mirror, row, remote)
    return _settled(mirror, path, choice, said) if isinstance(said, str) else said


def _contested(mirror: Mirror, path: str) -> tuple[Row, Item | None]:
    """A file in conflict and what the remote has of it; NotFoundError where it is in none."""
    row = mirror.state.files.row(path)
    trouble = next((t for t in mirror.state.troubles.all() if t.path == path), None)
    if row is None or trouble is None or trouble.kind not in ("conflict", "held"):
        raise NotFoundError("is in no conflict", path=path)
    return row, _remote(mirror, row, trouble.key or row.key or "")


def _settled(mirror: Mirror, path: str, choice: str, said: str) -> str:
    mirror.state.troubles.clear(path)
    mirror.state.agenda.settle(path, mirror.clock.now_ns())
    mirror.state.history.note(mirror.clock.now_ns(), path, "resolved", f"by a person: {choice}")
    return said


def _remote(mirror: Mirror, row: Row, key: str) -> Item | None:
    if row.receipt:
        known = mirror.state.overlay.of([row.receipt.id])
        return known.get(row.receipt.id)
    return mirror.state.overlay.at([key]).get(key)


def _take_local(mirror: Mirror, row: Row, remote: Item | None) -> str:
    """Ours is right: what the remote has now is what we mean to replace, or remove."""
    state = mirror.state
    if remote is None or remote.state is not ItemState.PRESENT:
        state.receipts.disown(row.path)
        state.names.place([(row.path, None)])
        if remote:
            state.overlay.agree([remote.id])
        return f"{row.path}: will be stored anew"
    state.overlay.agree([remote.id])
    state.names.place([(row.path, remote.key)])
    state.receipts.own(row.path, Receipt(
        key=remote.key, id=remote.id, version=remote.version, digest=remote.digest or "",
        stored_ns=mirror.clock.now_ns(),
    ))  # fmt: skip
    return f"{row.path}: the local file will replace the remote one"


def _take_remote(mirror: Mirror, row: Row, remote: Item | None) -> Future[str]:
    """The remote is right: once a worker has its content here, that takes the file's place."""
    if remote is None or remote.state is not ItemState.PRESENT:
        raise UsageError(
            "the remote holds nothing to take", path=row.path,
            hint="delete the local file to agree, or use --local",
        )  # fmt: skip
    place, before = inside(mirror.subject.root, row.path), _seen(mirror, row)
    later: Future[str] = Future()

    def brought(error: Exception | None) -> None:
        try:
            if error:
                raise error
            if (_seen(mirror, row), _contested(mirror, row.path)[1]) != (before, remote):
                raise ConflictError("changed meanwhile: look at it again", path=row.path)
            later.set_result(_exchange(mirror, row, remote, place))
        except Exception as fault:
            if not error:
                discard(remote, place)
            _not_taken(mirror, row.path, fault)
            later.set_exception(fault)

    def fetch() -> None:
        failed: Exception | None = None
        try:
            bring(mirror.dataset, remote, place)
        except Exception as fault:
            failed = fault
        mirror.post(Command(run=lambda mirror: brought(failed), answer=lambda said: None))

    mirror.dispatcher.pool.give(fetch)
    return later


def _not_taken(mirror: Mirror, path: str, fault: Exception) -> None:
    """Whoever asked may not have waited for the end."""
    log.warning("remote content not taken path=%s reason=%s", path, fault)
    mirror.state.history.note(mirror.clock.now_ns(), path, "failed", f"to take the remote: {fault}")


def _seen(mirror: Mirror, row: Row) -> object:
    return look(mirror.subject.root, mirror.subject.chosen, row.path)


def _exchange(mirror: Mirror, row: Row, remote: Item, place: Path) -> str:
    exchange(remote, place)
    _take_local(mirror, row, remote)
    mirror.observer.branch(row.dir)
    return _settled(mirror, row.path, "remote", f"{row.path}: the remote content was taken")


def _take_both(mirror: Mirror, row: Row, remote: Item | None) -> str:
    """Both are kept: ours goes beside the remote's, under a name of its own, which may be there."""
    if row.gone or remote is None:
        mirror.state.receipts.abandon([row.path])
        return f"{row.path}: the remote item is kept and no longer followed"
    for key in suffixed(row.path, mirror.subject.policy):
        if _ours_to_take(mirror.state, key, row.digest):
            mirror.state.receipts.disown(row.path)
            mirror.state.names.place([(row.path, key)])
            return f"{row.path}: will be stored as {key}"
    raise UsageError("no free name was found", path=row.path)


def _ours_to_take(state: State, key: str, digest: str | None) -> bool:
    """Whether a name is free, or that of an item with this content which no file of ours has."""
    if state.names.holders([key]):
        return False
    item = state.overlay.at([key]).get(key)
    if item is None:
        return True
    same = item.state is ItemState.PRESENT and digest is not None and item.digest == digest
    return same and not state.receipts.by_item([item.id])
