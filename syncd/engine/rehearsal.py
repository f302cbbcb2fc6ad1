"""A push that only says what it would do: the same mirror on a private copy of its state.

Files may be read for comparison; nothing is sent, written or claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from syncd.clock import SystemClock
from syncd.engine.job import Job, Result
from syncd.engine.mirror import Mirror
from syncd.engine.opening import Target, assemble
from syncd.engine.session import catch_up
from syncd.errors import NotFoundError, RejectedError
from syncd.model import Action, Item, Verb
from syncd.remotes.base import Dataset, DatasetInfo, Outcome, Remote, Removal, Traits, Upload
from syncd.state.store import State


@contextmanager
def rehearsed(target: Target, remote: Remote, mirrors: Path) -> Iterator[Mirror]:
    """A mirror whose decisions can be looked at; needs no lock and leaves no trace."""
    state = State.snapshot(target.folder(mirrors))
    try:
        dataset: Dataset = remote.open(
            target.dataset, create=False, source=state.meta.get("source") or ""
        )
    except NotFoundError:
        dataset = Nothing(target.dataset)
    mirror = assemble(target, state, dataset, SystemClock(), pool=Script, removes=False)
    try:
        yield mirror
    finally:
        mirror.close()


def rehearse(mirror: Mirror, names: Sequence[str] = ()) -> list[Action]:
    """Every action a push would carry out, in order."""
    if mirror.state.meta.get("dataset", mirror.dataset.info.id) != mirror.dataset.info.id:
        mirror.state.reset()
    catch_up(mirror)
    mirror.state.agenda.wake_troubled(mirror.clock.now_ns())
    mirror.state.agenda.wake_open(mirror.clock.now_ns())
    if names:
        mirror.observer.only(names)
    else:
        mirror.sweep()
    while not mirror.quiet:
        mirror.turn(mirror.wait_for(1.0))
    script = mirror.dispatcher.pool
    return script.actions if isinstance(script, Script) else []


class Script:
    """A pool that writes down what it is given instead of doing it; reading is done."""

    def __init__(
        self, work: Callable[[Job], list[Result]], deliver: Callable[[list[Result]], None]
    ) -> None:
        self._work = work
        self._deliver = deliver
        self.actions: list[Action] = []

    def give(self, job: Job) -> None:
        if job.verb is Verb.READ:
            self._deliver(self._work(job))
            return
        self.actions += [step.action for step in job.steps]
        done = RejectedError("only rehearsed")
        self._deliver([Result(step=step, error=done) for step in job.steps])

    def close(self) -> None:
        """Nothing was begun."""


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
