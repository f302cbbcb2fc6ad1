"""Gives out work: takes rows that are due, has them decided, makes batches, minds the remote.

Used by the control thread only. Bounded: as many rows are in memory as the workers can be busy
with. A remote that is away stops everything for a while instead of failing file by file; a batch
that fails alone is halved until the one file that cannot pass is found.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from syncd.clock import Clock
from syncd.engine.chunk import Decisions
from syncd.engine.decider import Decider
from syncd.engine.guard import Guard
from syncd.engine.job import Job, Result, Step
from syncd.engine.pool import Pool
from syncd.engine.settlement import SECOND, Settlement
from syncd.errors import LocalError, NoRoomError, RejectedError, TransientError
from syncd.model import Action, ItemState, Stat, Verb
from syncd.plan.backoff import LONGEST, delay
from syncd.remotes.base import Traits
from syncd.state.row import Row
from syncd.state.store import State

log = logging.getLogger(__name__)

CHUNK = 400
MISSES = 3
"""So many single files in a row that the remote cannot answer for: the remote is the trouble."""
LATE = 2
"""A request that had no answer in its time counts as so many that were refused at once."""
_START = (-1, "", "")
_SENT = (Verb.READ, Verb.PUT, Verb.REPLACE, Verb.MOVE, Verb.REMOVE)


class Dispatcher:
    """The work in hand of one mirror."""

    def __init__(
        self,
        state: State,
        decider: Decider,
        settlement: Settlement,
        guard: Guard,
        clock: Clock,
        *,
        traits: Traits,
        pool: Pool,
    ) -> None:
        self._state = state
        self._decider = decider
        self._settlement = settlement
        self._guard = guard
        self._clock = clock
        self._traits = traits
        self.pool = pool
        self._after = _START
        self._now = clock.now_ns()
        self._later: set[str] = set()
        self._trusted: set[str] = set()
        self._jobs = 0
        self._reads = 0
        self._misses = 0
        self._widest = traits.batch_files
        self.batch_bytes = traits.batch_bytes
        """Less where the line is slow: a batch that is broken off is sent again whole."""
        self.busy: Counter[str] = Counter()
        """Paths that jobs under way are about, and how many: its own, and a move away from it."""
        self._given: dict[str, Stat] = {}
        """How the files looked that jobs under way are about."""

    @property
    def idle(self) -> bool:
        """Nothing is given out, and nothing is due now."""
        due = self._state.agenda.next_due()
        return not self._jobs and (due is None or due > self._clock.now_ns())

    def next_due(self) -> int | None:
        """When there will be something to give out, in ns; None: not before something happens."""
        if self._jobs >= self._most_jobs:
            return None
        # With jobs under way, what lies before the cursor is theirs or waits for their end.
        due = self._state.agenda.next_due(self._after if self._jobs else _START)
        away = self._state.meta.get("away")
        return max(due, away["until_ns"]) if due is not None and away else due

    @property
    def waiting(self) -> bool:
        """The remote is away, and is not to be asked yet."""
        away = self._state.meta.get("away")
        if not away:
            return False
        left = int(away["until_ns"]) - self._clock.now_ns()
        return 0 < left < 2 * LONGEST * SECOND  # More can only be if the clock was set.

    @property
    def _most_jobs(self) -> int:
        return self._traits.parallel * 2

    def step(self, *, scanning: bool) -> None:
        """Give out work until the workers have enough or nothing was due when this began: what is
        put off for a moment must not be due again while there are many such."""
        if self.waiting:
            return
        away = self._state.meta.get("away")
        now = self._clock.now_ns()
        while self._jobs < self._most_jobs:
            rows = self._next_rows(now)
            if not rows:
                return
            self._give(rows, scanning=scanning)
            if away:
                return  # One chunk shows whether it is back.

    def trust(self, path: str) -> None:
        """The file was the same at two looks: it may be read without a lease."""
        self._trusted.add(path)

    def back(self, results: list[Result]) -> None:
        """A job is over: write down what came of it."""
        self._jobs -= 1
        self._reads -= results[0].step.action.verb is Verb.READ
        for result in results:
            del self._given[result.step.path]
        paths = [path for result in results for path in _paths(result.step)]
        self._release(paths)
        if any(result.outcome for result in results):
            self._widest = min(self._traits.batch_files, self._widest * 2)
            self._misses = 0
            self.reached()
        failed = {id(result) for result in self._failed_whole(results)}
        self._settlement.take([result for result in results if id(result) not in failed])
        self._count_removed(results)
        self._settlement.touched.difference_update(path for path in paths if path not in self.busy)

    def _release(self, paths: Iterable[str]) -> None:
        for path in paths:
            if self.busy[path] > 1:
                self.busy[path] -= 1
            else:
                del self.busy[path]

    def reached(self) -> None:
        """The remote has answered."""
        if self._state.meta.get("away"):
            self._state.meta.put(away=None)

    def missed(self, error: TransientError) -> None:
        """The remote does not answer: leave it alone for a while."""
        now = self._clock.now_ns()
        away = self._state.meta.get("away")
        if away and away["until_ns"] > now:
            return
        tries = (away["tries"] if away else 0) + (LATE if error.late else 1)
        pause = delay(error, tries, random.random()) or 0.0  # noqa: S311
        until = now + int(pause * SECOND)
        full = isinstance(error, NoRoomError)
        self._state.meta.put(
            away={
                "tries": tries, "until_ns": until, "reason": error.message, "full": full,
                "late": error.late,
            }
        )  # fmt: skip
        log.warning("remote away reason=%s retry_s=%.1f", error.message, pause)

    def close(self) -> None:
        self.pool.close()

    def _count_removed(self, results: Sequence[Result]) -> None:
        approved = self._guard.approved
        removed = [r for r in results if r.step.action.verb is Verb.REMOVE and r.outcome]
        if removed:
            self._guard.removed(sum(result.step.gone > approved for result in removed))

    # --- rows to actions ------------------------------------------------------------------------

    def _next_rows(self, now: int) -> list[Row]:
        if now < self._now - SECOND:
            self._state.agenda.shift(now - self._now)
        self._now = now
        rows = self._state.agenda.due(now, CHUNK, self._after)
        if not rows and not self._jobs and self._after != _START:
            self._after = _START
            rows = self._state.agenda.due(now, CHUNK, self._after)
        if rows:
            last = rows[-1]
            self._after = (last.due or 0, last.dir, last.name)
        return [row for row in rows if row.path not in self.busy]

    def _give(self, rows: Sequence[Row], *, scanning: bool) -> None:
        final = () if scanning or self._reads else tuple(self._later)
        found = self._decider.decide(rows, busy=self.busy, final=final, leaving=self._leaving())
        self._defer(found)
        by_path = {row.path: row for row in found.rows}
        self._later.difference_update(by_path)
        self._later.update(found.later)
        given: dict[Verb, list[Step]] = {}
        for action in found.actions:
            if action.verb in _SENT and not self._at_home(action):
                given.setdefault(action.verb, []).append(self._step(action, by_path[action.path]))
            else:
                self._apply(action)
        self._hold_back(given)
        for verb, steps in given.items():
            for batch in self._batches(verb, steps):
                self._start(Job(verb=verb, steps=tuple(batch)))

    def _leaving(self) -> set[Stat]:
        """How files looked that changed while jobs have them, and may have other names now."""
        return {self._given[path] for path in self._settlement.touched & self._given.keys()}

    def _defer(self, found: Decisions) -> None:
        now = self._clock.now_ns()
        for path in found.later:
            self._state.agenda.settle(path, now + SECOND // 20)
        for path in found.waiting:
            self._state.agenda.settle(path, now + SECOND // 5)
        self._state.agenda.wake(now + SECOND, found.held)
        for path, reason in found.refused:
            self._settlement.refuse(path, "refused", reason)

    def _step(self, action: Action, row: Row) -> Step:
        settled = row.path in self._trusted
        self._trusted.discard(row.path)
        return Step(
            action=action, path=row.path, stat=row.stat, settled=settled, gone=row.gone or 0
        )

    def _at_home(self, action: Action) -> bool:
        """A move between folders that the layout folds into one: the key stays."""
        origin = action.origin
        return (
            origin is not None and origin.receipt is not None and (origin.receipt.key == action.key)
        )

    def _apply(self, action: Action) -> None:
        """Actions that need nobody else."""
        match action.verb:
            case Verb.ADOPT:
                self._settlement.adopt(action)
            case Verb.MOVE if action.origin and action.origin.remote:
                self._settlement.hand_over(action, action.origin.remote)
                self._settlement.take([])
            case Verb.FORGET:
                self._forget(action)
            case Verb.HOLD:
                self._settlement.refuse(action.path, "held", action.reason, action.key)
            case Verb.CONFLICT:
                self._settlement.refuse(action.path, "conflict", action.reason, action.key)
            case _:
                self._state.agenda.settle(action.path)
                self._state.troubles.clear(action.path)

    def _forget(self, action: Action) -> None:
        self._state.history.note(self._clock.now_ns(), action.path, "forgotten", action.reason)
        remote = action.triple.remote if action.triple else None
        if remote and remote.state is ItemState.PRESENT:
            self._state.receipts.abandon([action.path])
        else:
            self._state.files.forget([action.path])

    def _hold_back(self, given: dict[Verb, list[Step]]) -> None:
        """Leave out the removals that the guard does not let pass; a sweep brings them up again.
        What is being read may be what has vanished."""
        if Verb.REMOVE not in given:
            return
        if self._reads:
            later = self._clock.now_ns() + SECOND
            self._state.agenda.wake(later, [step.path for step in given.pop(Verb.REMOVE)])
            return
        until = self._guard.removable(self.busy)
        removals = given.pop(Verb.REMOVE)
        if passed := [step for step in removals if step.gone <= until]:
            given[Verb.REMOVE] = passed
        if len(passed) < len(removals):
            self._state.agenda.settle_gone(until)

    # --- actions to jobs ------------------------------------------------------------------------

    def _batches(self, verb: Verb, steps: Sequence[Step]) -> Iterator[list[Step]]:
        whole = verb is Verb.MOVE and self._widest == self._traits.batch_files
        if whole:
            yield list(steps)  # Items that change names with each other must not be torn apart.
            return
        batch: list[Step] = []
        size = 0
        for step in steps:
            bytes = step.stat[0] if verb not in (Verb.MOVE, Verb.REMOVE) else 0
            if batch and (len(batch) >= self._widest or size + bytes > self.batch_bytes):
                yield batch
                batch, size = [], 0
            batch.append(step)
            size += bytes
        if batch:
            yield batch

    def _start(self, job: Job) -> None:
        self._jobs += 1
        self._reads += job.verb is Verb.READ
        self._given.update((step.path, step.stat) for step in job.steps)
        self.busy.update(path for step in job.steps for path in _paths(step))
        self.pool.give(job)

    def _failed_whole(self, results: Sequence[Result]) -> Sequence[Result]:
        """Deal with what failed as one because of the remote, and return it: all of a batch but
        the files that could not be read."""
        failed = [result for result in results if not isinstance(result.error, LocalError)]
        error = failed[0].error if failed else None
        if any(result.error is not error for result in failed):
            return ()
        if isinstance(error, TransientError):
            return failed if self._away(error, failed) else ()
        if isinstance(error, RejectedError) and len(failed) > 1:
            self._halve(failed)
            return failed
        return ()

    def _away(self, error: TransientError, failed: Sequence[Result]) -> bool:
        """Halve a batch the remote cannot answer for; wait where it is not one file's fault."""
        self._settlement.doubt(failed)
        if error.answered and error.retry_after is None and len(failed) > 1:
            self._halve(failed)
            return True
        if error.answered and len(failed) == 1:
            self._misses += 1
            if self._misses < MISSES:
                return False  # This file alone may be the trouble: it waits by itself.
        self._again(failed)
        self._widest = self._traits.batch_files
        self.missed(error)
        return True

    def _halve(self, failed: Sequence[Result]) -> None:
        self._again(failed)
        self._widest = max(1, len(failed) // 2)

    def _again(self, failed: Sequence[Result]) -> None:
        self._state.agenda.wake(
            self._clock.now_ns(), [path for result in failed for path in _paths(result.step)]
        )


def _paths(step: Step) -> tuple[str, ...]:
    """What a step is about."""
    origin = step.action.origin
    return (step.path, origin.path) if origin else (step.path,)
