"""A mirror's life around its turns: binding it to its root and dataset, and the one-shot push.

`bind` must have succeeded before anything is decided. `push` ends by itself; watching, which
does not, is the daemon's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from syncd.engine.mirror import Mirror
from syncd.engine.pairing import partners
from syncd.engine.report import Failure, Report
from syncd.errors import StateError, SyncdError
from syncd.plan.backoff import LONGEST
from syncd.remotes.base import Feeds
from syncd.state.pause import lasting
from syncd.state.sidecar_report import Told
from syncd.state.store import State

PATIENCE = 8.0
"""Seconds a push waits for something to become due again before it reports a failure."""
AWAY_TRIES = 4
"""So often a push asks a remote that does not answer: about 15 s, or 90 s where it is frozen."""
AWAY_LONGEST = 60.0
"""Seconds; a remote that wants to be left alone for longer is not waited for."""
WRITING = 30.0
"""Seconds a push waits for a file that somebody goes on writing."""
SECOND = 1_000_000_000


def source_of(state: State) -> str:
    """The name under which this mirror changes things at the remote; made once per state file."""
    known = state.meta.get("source")
    if known is None:
        known = f"mirror:{uuid4().hex}"
        state.meta.put(source=known)
        state.commit()
    return str(known)


def bind(mirror: Mirror, names: tuple[str, ...] = ()) -> None:
    """Tie the state file to its root, dataset and layout, and bring the remote side up to date,
    for a run that is about the whole root or about the named files in it."""
    state, subject, now = mirror.state, mirror.subject, mirror.clock.now_ns()
    suit(mirror, names)
    state.meta.put(
        dataset_name=mirror.dataset.info.name, name=subject.name, root_path=str(subject.root),
        chosen=[sorted(subject.chosen.extensions), subject.chosen.patterns],
    )  # fmt: skip
    mirror.guard.bind()
    catch_up(mirror)
    state.agenda.wake_open(now)
    state.agenda.hurry(now, now + int(2 * LONGEST * SECOND))
    state.commit()


def suit(mirror: Mirror, names: tuple[str, ...] = ()) -> None:
    """Make the state fit the dataset and the layout of this run: what it holds is about others,
    or its names are by another rule. A run about named files changes the names of no others; the
    next one about all of them has every file named by its rule again."""
    state, policy, id = mirror.state, mirror.subject.policy, mirror.dataset.info.id
    if state.meta.get("dataset", id) != id:
        # Another dataset of the same name: what the old receipts prove is not about this one.
        state.reset()
    layout = [policy.layout.value, policy.prefix]
    other = state.meta.get("layout", layout) != layout
    if (other or state.meta.get("mixed")) and names:
        state.names.unplace(names)
        state.meta.put(mixed=True)
    elif other or state.meta.get("mixed"):
        state.names.unplace_all(mirror.clock.now_ns())
        state.meta.put(mixed=None)
    state.meta.put(dataset=id)
    if not state.meta.get("mixed"):
        state.meta.put(layout=layout)


def catch_up(mirror: Mirror) -> None:
    """Read the remote's changes since the last run, page by page."""
    if not isinstance(mirror.dataset, Feeds):
        return
    more = True
    while more and mirror.guard.closed is None:
        page = mirror.dataset.changes(mirror.state.meta.get("cursor", 0))
        mirror.hear_of(page)
        more = page.more


def push(
    mirror: Mirror, names: tuple[str, ...] = (), *, revive: Callable[[], None] = lambda: None
) -> Report:
    """Send what is new, of the whole root or of the named files in it, and end. `revive` is called
    where the remote does not answer, before it is asked again: it may be one we can start.

    Raises DeniedError and StateError; all else is in the report.
    """
    began = mirror.clock.monotonic()
    now = mirror.clock.now_ns()
    if mirror.guard.closed:
        raise _refusal(mirror)
    if lasting(mirror.state.meta.get("paused"), now):
        raise StateError(
            "this mirror is paused", path=str(mirror.subject.root), hint="syncd resume goes on"
        )
    # A person asks now, and the remote answered when the mirror was bound: no wait of an earlier
    # run counts.
    mirror.state.meta.put(away=None)
    mirror.state.agenda.wake_troubled(now)
    mirror.state.agenda.hurry(now, now)
    mirror.sidecars.retry()
    seen = 0
    with looking(mirror, names):
        while not over(mirror):
            seen = _revived(mirror, seen, revive)
            mirror.turn(mirror.wait_for(1.0))
            if mirror.settlement.denied:
                raise mirror.settlement.denied
            if mirror.guard.closed:
                raise _refusal(mirror)
        if mirror.guard.check():
            raise _refusal(mirror)
        return report(mirror, mirror.clock.monotonic() - began, names)


def _revived(mirror: Mirror, seen: int, revive: Callable[[], None]) -> int:
    """Start the remote again, once for each time it was asked in vain; how many of those there
    were, of which `seen` are known already. One that was late is there, and only slow."""
    away = mirror.state.meta.get("away") or {"tries": 0}
    tries = int(away["tries"])
    if tries > seen and not away.get("late"):
        # Whatever hinders the start is the remote's trouble: it is asked again.
        with suppress(SyncdError, OSError):
            revive()
    return tries


@contextmanager
def looking(mirror: Mirror, names: Sequence[str]) -> Iterator[None]:
    """Look over the whole root, or at the named files, and leave others for a later run: all but
    those that have their items now."""
    if not names:
        mirror.sweep()
        yield
        return
    with mirror.state.agenda.parked():
        mirror.observer.only(names)
        mirror.state.agenda.wake(mirror.clock.now_ns(), partners(mirror.state, names))
        mirror.tally.counted(mirror.observer.files, mirror.state.agenda.pending().bytes)
        yield


def over(mirror: Mirror) -> bool:
    """Whether nothing is under way, and nothing comes due soon enough to wait for."""
    if _given_up(mirror):
        return True
    if not mirror.quiet and not _only_writers(mirror):
        return False
    due = mirror.next_due()
    return due is None or due - mirror.clock.now_ns() >= PATIENCE * SECOND


def _given_up(mirror: Mirror) -> bool:
    away = mirror.state.meta.get("away")
    if not away or mirror.dispatcher.busy or mirror.sweeping:
        return False
    left = int(away["until_ns"]) - mirror.clock.now_ns()
    long = left > AWAY_LONGEST * SECOND or int(away["tries"]) >= AWAY_TRIES
    return long or bool(away.get("full"))


def _only_writers(mirror: Mirror) -> bool:
    """Whether all that is left are files that somebody has been writing for long enough."""
    now = mirror.clock.monotonic()
    long = all(now - since >= WRITING for since in mirror.lookout.unsettled.values())
    return bool(mirror.lookout.unsettled) and long and mirror.done


def report(mirror: Mirror, seconds: float, names: tuple[str, ...] = ()) -> Report:
    """What the run did, from the tally and from what the state file lists as not in sync."""
    state, tally = mirror.state, mirror.tally
    away = state.meta.get("away") or {}
    failed = _failures(mirror)
    if names:
        failed = [failure for failure in failed if failure.path in names]
    beside = _unset(mirror, names)
    failed += beside
    attempted = mirror.observer.files + len(beside)
    attempted += 0 if names else state.meta.get("refused_count", 0)
    # A comparison with the remote may have brought up others than the named ones.
    attempted = max(attempted, tally.uploaded + len(failed))
    return Report(
        dataset=mirror.dataset.info.name,
        attempted=attempted,
        uploaded=tally.uploaded,
        skipped=attempted - tally.uploaded - len(failed),
        renamed=state.names.renamed(names),
        rules=Told(others=_left_alone(mirror, names)).counted(mirror.observer.ignored),
        failed=tuple(failed),
        bytes=tally.bytes,
        seconds=round(seconds, 3),
        away=away.get("reason"),
        full=away.get("full", False),
    )


def _left_alone(mirror: Mirror, names: tuple[str, ...]) -> int:
    """How many files are named like a sidecar and are none."""
    if names:
        rows = [mirror.state.sidecars.at(name) for name in names]
        return sum(row is not None and row.kind == "other" for row in rows)
    return mirror.state.sidecars.ignored(able=mirror.sidecars.able)


def _unset(mirror: Mirror, names: tuple[str, ...]) -> list[Failure]:
    """Sidecars that are to be set and are not; one that is, or waits for its picture, is nowhere
    in the report."""
    if not mirror.state.sidecars.any or not mirror.sidecars.able:
        return []
    return [
        Failure(
            path=trouble.path,
            reason="still being written"
            if trouble.path in mirror.lookout.unsettled
            else trouble.reason,
        )
        for trouble in mirror.state.sidecars.troubles()
        if not names or trouble.path in names
    ]


def _failures(mirror: Mirror) -> list[Failure]:
    state, troubles = mirror.state, mirror.state.troubles.all()
    failed = [
        Failure(path=trouble.path, reason=trouble.reason, kind=trouble.kind)
        for trouble in troubles
        if trouble.kind != "held"
    ]
    failed += [
        Failure(path=path, reason=reason, kind="refused")
        for path, reason in state.meta.get("refused", [])
    ]
    listed = {trouble.path for trouble in troubles}
    away = (state.meta.get("away") or {}).get("reason")
    reason = f"not sent: {away}" if away else "not sent yet"
    return failed + [
        Failure(
            path=path, reason="still being written" if path in mirror.lookout.unsettled else reason
        )
        for path in state.files.unsent()
        if path not in listed
    ]


def _refusal(mirror: Mirror) -> StateError:
    """Why nothing is sent while the gate is closed, and the way on where a person may open it."""
    gate = mirror.state.meta.get("gate")
    hint = f"syncd approve {gate['plan']}" if gate["ask"] else None
    return StateError(gate["reason"], path=str(mirror.subject.root), hint=hint)
