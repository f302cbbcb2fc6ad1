"""A mirror's life around its turns: binding it to its root and dataset, and the one-shot push.

`bind` must have succeeded before anything is decided. `push` ends by itself; watching, which
does not, is the daemon's.
"""

from __future__ import annotations

from uuid import uuid4

from syncd.engine.mirror import Mirror
from syncd.engine.report import Failure, Report
from syncd.errors import StateError
from syncd.remotes.base import Feeds
from syncd.state.store import State

PATIENCE = 8.0
"""Seconds a push waits for something to become due again before it reports a failure."""
AWAY_TRIES = 4
"""So often a push asks a remote that does not answer: about 15 s."""
SECOND = 1_000_000_000


def source_of(state: State) -> str:
    """The name under which this mirror changes things at the remote; made once per state file."""
    known = state.meta.get("source")
    if known is None:
        known = f"mirror:{uuid4().hex}"
        state.meta.put(source=known)
        state.commit()
    return str(known)


def bind(mirror: Mirror) -> None:
    """Tie the state file to its root, dataset and layout, and bring the remote side up to date."""
    state, subject = mirror.state, mirror.subject
    info = mirror.dataset.info
    if state.meta.get("dataset", info.id) != info.id:
        # Another dataset of the same name: what the old receipts prove is not about this one.
        state.reset()
    layout = [subject.policy.layout.value, subject.policy.prefix]
    if state.meta.get("layout", layout) != layout:
        state.names.unplace_all(mirror.clock.now_ns())
    state.meta.put(
        dataset=info.id, dataset_name=info.name, layout=layout,
        name=subject.name, root_path=str(subject.root),
    )  # fmt: skip
    mirror.guard.bind()
    catch_up(mirror)
    state.agenda.wake_open(mirror.clock.now_ns())
    state.commit()


def catch_up(mirror: Mirror) -> None:
    """Read the remote's changes since the last run, page by page."""
    if not isinstance(mirror.dataset, Feeds):
        return
    more = True
    while more and mirror.guard.closed is None:
        page = mirror.dataset.changes(mirror.state.meta.get("cursor", 0))
        mirror.hear_of(page)
        more = page.more


def push(mirror: Mirror, names: tuple[str, ...] = ()) -> Report:
    """Send what is new, of the whole root or of the named files in it, and end.

    Raises DeniedError and StateError; all else is in the report.
    """
    began = mirror.clock.monotonic()
    if mirror.guard.closed:
        raise StateError(mirror.guard.closed, hint=f"syncd approve {gate_plan(mirror.state)}")
    mirror.state.agenda.wake_troubled(mirror.clock.now_ns())
    if names:
        mirror.observer.only(names)
    else:
        mirror.sweep()
    while not over(mirror):
        mirror.turn(mirror.wait_for(1.0))
        if mirror.settlement.denied:
            raise mirror.settlement.denied
        if mirror.guard.closed:
            raise StateError(mirror.guard.closed, path=str(mirror.subject.root))
    return report(mirror, mirror.clock.monotonic() - began, names)


def over(mirror: Mirror) -> bool:
    """Whether nothing is under way, and nothing comes due soon enough to wait for."""
    if not mirror.quiet and not _given_up(mirror):
        return False
    due = mirror.dispatcher.next_due()
    waiting = due is not None and due - mirror.clock.now_ns() < PATIENCE * SECOND
    return not waiting or _given_up(mirror)


def _given_up(mirror: Mirror) -> bool:
    away = mirror.state.meta.get("away")
    return bool(away and away["tries"] >= AWAY_TRIES and not mirror.dispatcher.busy)


def report(mirror: Mirror, seconds: float, names: tuple[str, ...] = ()) -> Report:
    """What the run did, from the tally and from what the state file lists as not in sync."""
    state, tally = mirror.state, mirror.tally
    failed = _failures(mirror)
    if names:
        failed = [failure for failure in failed if failure.path in names]
    attempted = mirror.observer.files + (0 if names else state.meta.get("refused_count", 0))
    return Report(
        dataset=mirror.dataset.info.name,
        attempted=attempted,
        uploaded=tally.uploaded,
        skipped=max(0, attempted - tally.uploaded - len(failed)),
        renamed=state.names.renamed(),
        ignored=sum(mirror.observer.ignored.values()),
        failed=tuple(failed),
        bytes=tally.bytes,
        seconds=round(seconds, 3),
        away=(state.meta.get("away") or {}).get("reason"),
    )


def _failures(mirror: Mirror) -> list[Failure]:
    state = mirror.state
    failed = [
        Failure(path=trouble.path, reason=trouble.reason)
        for trouble in state.troubles.all()
        if trouble.kind != "held"
    ]
    failed += [Failure(path=path, reason=reason) for path, reason in state.meta.get("refused", [])]
    away = state.meta.get("away")
    if away:
        listed = {failure.path for failure in failed}
        failed += [
            Failure(path=path, reason=f"not sent: {away['reason']}")
            for path in state.files.unsent()
            if path not in listed
        ]
    return failed


def gate_plan(state: State) -> str:
    """The name of the plan that `syncd approve` is asked for."""
    return str((state.meta.get("gate") or {}).get("plan", ""))
