"""What workers do: read files and talk to the remote. No state, no decisions.

A job is immutable and belongs to one batch of one verb; its results come back to the control
thread in the order of its steps. Whatever happens to one file is in its result; an error of the
whole batch is put into every result, so that nothing is ever left without an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

from syncd.errors import RejectedError, SyncdError, UnsettledError
from syncd.local.look import exists
from syncd.local.read import Content, Inside
from syncd.model import Action, Receipt, Stat, Verb
from syncd.plan.order import in_order
from syncd.remotes.base import Dataset, Move, Moves, Outcome, Removal, Upload
from syncd.value import value

SMALL = 64 * 1024
"""Bytes, on average, below which a batch's files are read by one thread at a time."""


@value
class Step:
    """One action with what the control thread knew when it was given out."""

    action: Action
    path: str
    stat: Stat
    gone: int = 0
    """When it was found missing, in ns; 0: it is there."""
    settled: bool = False
    """The file was seen unchanged at two looks: read it even where no lease is to be had."""


@value
class Result:
    """What became of a step: what was read, what the remote said, or the error."""

    step: Step
    content: Content | None = None
    outcome: Outcome | None = None
    error: SyncdError | None = None


@value
class Job:
    verb: Verb
    steps: tuple[Step, ...]


class Workbench:
    """Carries out jobs for one mirror; shared by its worker threads."""

    def __init__(self, root: Path, dataset: Dataset, *, forever: bool) -> None:
        self._root = root
        self._dataset = dataset
        self._forever = forever
        self._reading = threading.Lock()
        self._verbs: dict[Verb, Callable[[Sequence[Step]], list[Result]]] = {
            Verb.READ: self._read,
            Verb.PUT: self._put,
            Verb.REPLACE: self._put,
            Verb.MOVE: self._move,
            Verb.REMOVE: self._remove,
        }

    def run(self, job: Job) -> list[Result]:
        """One result per step; never raises what concerns files or the remote."""
        try:
            return self._verbs[job.verb](job.steps)
        except SyncdError as error:
            return [Result(step=step, error=error) for step in job.steps]

    def _read(self, steps: Sequence[Step]) -> list[Result]:
        with Inside(self._root) as inside:
            return [_open(inside, step, keep=0) for step in steps]

    def _turn(self, steps: Sequence[Step]) -> AbstractContextManager[object]:
        """Small files read by two threads cost twice the time of one, for the threads wait for each
        other at every call: so one reads while the others wait for the remote."""
        small = sum(step.stat[0] for step in steps) < len(steps) * SMALL
        return self._reading if small else nullcontext()

    def _put(self, steps: Sequence[Step]) -> list[Result]:
        keep = self._dataset.traits.batch_bytes // 2
        with self._turn(steps), Inside(self._root) as inside:
            opened = [_open(inside, step, keep=keep) for step in steps]
        uploads = [
            _upload(self._root, result.step, result.content) for result in opened if result.content
        ]
        try:
            outcomes = iter(self._dataset.put(uploads) if uploads else ())
        except SyncdError as error:
            return [_with_error(result, error) for result in opened]
        return [_with_outcome(result, outcomes) if result.content else result for result in opened]

    def _move(self, steps: Sequence[Step]) -> list[Result]:
        if not isinstance(self._dataset, Moves):
            raise UnsettledError("this remote cannot move items")
        moves = [_to(step.action, step.action.key) for step in steps]
        order = in_order([(_now_at(step.action), step.action.key) for step in steps])
        aside = [_to(steps[n].action, _aside(moves[n])) for n in order.aside]
        for n in order.aside:
            moves[n] = replace(moves[n], expect=_next(moves[n].expect))
        asked = iter([*aside, *(moves[n] for n in order.turns)])
        outcomes: list[Outcome] = []
        while batch := list(islice(asked, self._dataset.traits.batch_files)):
            outcomes += self._dataset.move(batch)
        found = dict(zip(order.turns, outcomes[len(aside) :], strict=True))
        return [Result(step=step, outcome=found[n]) for n, step in enumerate(steps)]

    def _remove(self, steps: Sequence[Step]) -> list[Result]:
        # The last look before anything is taken away: a disk may have come back meanwhile.
        gone = [step for step in steps if not exists(self._root, step.path)]
        removals = [
            Removal(
                item_id=receipt.id,
                expect=_version(step.action, receipt),
                key=receipt.key,
                forever=self._forever,
            )
            for step in gone
            if (receipt := receipt_of(step.action))
        ]
        outcomes = iter(self._dataset.remove(removals) if removals else ())
        return [
            Result(step=step, outcome=next(outcomes)) if step in gone else _returned(step)
            for step in steps
        ]


def _open(inside: Inside, step: Step, *, keep: int) -> Result:
    try:
        content = inside.read(step.path, keep=keep, settled=step.settled)
    except SyncdError as error:
        return Result(step=step, error=error)
    return Result(step=step, content=content)


def _returned(step: Step) -> Result:
    return Result(step=step, error=UnsettledError("is there again"))


def receipt_of(action: Action) -> Receipt | None:
    """The receipt an action works on: the vanished path's for a move, else its own."""
    triple = action.origin or action.triple
    return triple.receipt if triple else None


def _version(action: Action, receipt: Receipt) -> int | None:
    subject = action.origin or action.triple
    remote = subject.remote if subject else None
    return remote.version if remote else receipt.version


def _to(action: Action, key: str) -> Move:
    receipt = receipt_of(action)
    if receipt is None:
        raise RejectedError("there is no item to move", path=action.path)
    return Move(item_id=receipt.id, expect=_version(action, receipt), key=key)


def _now_at(action: Action) -> str:
    """The key the item has at the remote."""
    subject = action.origin or action.triple
    if subject is None or subject.receipt is None:
        return action.key
    return subject.remote.key if subject.remote else subject.receipt.key


def _aside(move: Move) -> str:
    """A key for an item that waits for its own to become free."""
    folder = move.key.rpartition("/")[0]
    return f"{folder}/~{move.item_id}" if folder else f"~{move.item_id}"


def _next(version: int | None) -> int | None:
    return None if version is None else version + 1


def _upload(root: Path, step: Step, content: Content) -> Upload:
    action = step.action
    receipt = receipt_of(action) if action.verb is Verb.REPLACE else None
    return Upload(
        key=action.key,
        digest=content.digest,
        size=content.stat[0],
        # Only what was too large to keep is read again; making a path costs as much as a stat.
        file=root / action.path if content.data is None else root,
        content=content.data,
        modified_ns=content.stat[1] or step.stat[1],
        expect=_version(action, receipt) if receipt else None,
        item_id=receipt.id if receipt else None,
    )


def _with_error(result: Result, error: SyncdError) -> Result:
    return Result(step=result.step, content=result.content, error=result.error or error)


def _with_outcome(result: Result, outcomes: Iterator[Outcome]) -> Result:
    return Result(step=result.step, content=_light(result.content), outcome=next(outcomes))


def _light(content: Content | None) -> Content | None:
    # The bytes were sent; holding them in the inbox would be memory for nothing.
    if content is None:
        return None
    return Content(stat=content.stat, digest=content.digest, data=None)
