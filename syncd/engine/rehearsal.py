"""A push that only says what it would do: the same mirror on a private copy of its state.

Files may be read for comparison; nothing is sent, written or claimed. What would be sent is taken
for stored, so that what follows is decided as the push itself would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from syncd.annotation.model import AnnotationSet, Size
from syncd.clock import SystemClock
from syncd.engine.job import Job, Result, Step, receipt_of
from syncd.engine.mirror import Mirror
from syncd.engine.opening import Target, assemble
from syncd.engine.pool import Task, Told
from syncd.engine.report import Report
from syncd.engine.session import catch_up, looking, over, report, suit
from syncd.engine.sidecar_work import Answers, Delivery, Errand, Parcel
from syncd.errors import NotFoundError, RejectedError, StateError
from syncd.local.read import Content, read
from syncd.model import Action, Item, Verb
from syncd.remotes.base import Dataset, DatasetInfo, Outcome, Remote, Removal, Traits, Upload
from syncd.state.store import State
from syncd.value import value

UNREAD = "0" * 64
"""Stands for a digest that nobody needs to know in a rehearsal."""


@value
class Rehearsal:
    """What a push would do: its actions in order, the sidecars it would set with the keys of their
    items, and a report that tells what it would leave out and what it could not send."""

    actions: tuple[Action, ...]
    sidecars: tuple[tuple[str, str], ...]
    report: Report

    def below(self, root: Path) -> Rehearsal:
        """The same with paths in full, but for the report's."""
        return replace(
            self,
            actions=tuple(replace(a, path=str(root / a.path)) for a in self.actions),
            sidecars=tuple((str(root / path), key) for path, key in self.sidecars),
        )


@contextmanager
def rehearsed(
    target: Target, remote: Remote, mirrors: Path, ahead: Mapping[str, Path]
) -> Iterator[Mirror]:
    """A mirror whose decisions can be looked at; needs no lock and leaves no trace. `ahead` are
    the files, by key, that the same push would have stored before."""
    state = State.snapshot(target.folder(mirrors))
    try:
        dataset: Dataset = remote.open(
            target.dataset, create=False, source=state.meta.get("source") or ""
        )
    except NotFoundError:
        dataset = Nothing(target.dataset)
    script = Script(state, ahead)
    mirror = assemble(target, state, dataset, SystemClock(), pool=script.begin, removes=False)
    try:
        yield mirror
    finally:
        mirror.close()


def rehearse(mirror: Mirror, names: Sequence[str] = ()) -> Rehearsal:
    """All that a push would do. Raises StateError where it would."""
    suit(mirror, tuple(names))
    catch_up(mirror)
    script = mirror.dispatcher.pool
    if not isinstance(script, Script):
        raise TypeError("this mirror was not opened to be rehearsed")
    script.announce(mirror.clock.now_ns())
    mirror.state.agenda.wake_troubled(mirror.clock.now_ns())
    mirror.state.agenda.wake_open(mirror.clock.now_ns())
    with looking(mirror, names):
        while mirror.guard.closed is None and not over(mirror):
            mirror.turn(mirror.wait_for(1.0))
    if mirror.guard.closed:
        raise StateError(mirror.guard.closed, path=str(mirror.subject.root))
    rows = mirror.state.receipts.by_item([parcel.item_id for parcel in script.parcels])
    keys = {id: row.key or row.path for id, row in rows.items()}
    return Rehearsal(
        actions=tuple(script.actions),
        sidecars=tuple((p.path, keys.get(p.item_id, "")) for p in script.parcels),
        report=report(mirror, 0.0, tuple(names)),
    )


class Script:
    """A pool that writes down what it is given instead of doing it; reading is done."""

    def __init__(self, state: State, ahead: Mapping[str, Path]) -> None:
        self._state = state
        self._ahead = dict(ahead)
        self.actions: list[Action] = []
        self.parcels: list[Parcel] = []

    def begin(self, work: Callable[[Task], Told], deliver: Callable[[Told], None]) -> Script:
        """Take the place of the workers."""
        self._work = work
        self._deliver = deliver
        return self

    def announce(self, now: int) -> None:
        """Let the names be taken that are taken by the time this mirror is pushed."""
        self._state.overlay.learn([_stored(key, UNREAD) for key in self._ahead], now)

    def give(self, job: Task) -> None:
        if isinstance(job, Errand):
            self.parcels += job.parcels
            told = tuple(Delivery(parcel=parcel) for parcel in job.parcels)
            self._deliver(Answers(deliveries=told) if told else self._work(job))
            return
        if not isinstance(job, Job):
            return  # nobody asks for a favour here
        if job.verb is Verb.READ:
            self._compare(job)
            self._deliver(self._work(job))
            return
        self.actions += [step.action for step in job.steps]
        self._deliver([_done(step) for step in job.steps])

    def close(self) -> None:
        """Nothing was begun."""

    def _compare(self, job: Job) -> None:
        """What holds a name that is asked about is read only now, when it matters."""
        for step in job.steps:
            file = self._ahead.pop(step.action.key, None)
            if file is not None:
                content = read(file.parent, file.name, keep=0, settled=True)
                self._state.overlay.learn([_stored(step.action.key, content.digest)], 0)


def _stored(key: str, digest: str) -> Item:
    return Item(key=key, id=f"rehearsed {key}", version=1, digest=digest)


def _done(step: Step) -> Result:
    """The answer of a remote to which everything is right."""
    receipt = receipt_of(step.action)
    item = _stored(step.action.key, receipt.digest if receipt else UNREAD)
    if step.action.verb is not Verb.MOVE:
        item = replace(item, digest=UNREAD)
    if receipt:
        item = replace(item, id=receipt.id, version=(receipt.version or 0) + 1)
    return Result(
        step=step,
        content=Content(stat=step.stat, digest=UNREAD, data=None),
        outcome=Outcome(key=item.key, item=item),
    )


class Nothing:
    """A dataset that is not there yet."""

    traits = Traits()

    def __init__(self, name: str) -> None:
        self.info = DatasetInfo(id="", name=name)

    def items(self, folder: str = "") -> Iterator[Item]:
        return iter(())

    def put(self, batch: Sequence[Upload]) -> Sequence[Outcome]:
        raise RejectedError("only rehearsed")

    def remove(self, batch: Sequence[Removal]) -> Sequence[Outcome]:
        raise RejectedError("only rehearsed")

    def read(self, item: Item, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return iter(())

    def annotate(self, batch: Sequence[AnnotationSet]) -> Sequence[Outcome]:
        raise RejectedError("only rehearsed")

    def annotations(
        self, items: Sequence[Item]
    ) -> Iterator[tuple[Item, tuple[AnnotationSet, ...]]]:
        return iter(())

    def sizes(self, items: Sequence[Item]) -> Iterator[tuple[Item, Size | None]]:
        return iter(())
