"""The control thread of one mirror: hears hints and results, decides, gives out jobs.

It alone decides and writes the state file. `turn` does one round; `watch` and `push` call it until
they are done. The order of things: look at the disk, decide chunks of rows that are due, give
batches to the workers, write down what came of them.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

from syncd.clock import Clock
from syncd.engine.comparison import Comparison
from syncd.engine.decider import Decider
from syncd.engine.dispatch import Dispatcher
from syncd.engine.guard import Guard
from syncd.engine.job import Result, Workbench
from syncd.engine.lookout import Finds, Lookout
from syncd.engine.news import current, learn
from syncd.engine.observer import Observer
from syncd.engine.pool import Workers
from syncd.engine.report import Tally
from syncd.engine.settlement import GRACE_NS, Settlement
from syncd.engine.sidecar_ways import attach, clerk
from syncd.engine.sidecar_work import Answers, either
from syncd.errors import DeniedError, LocalError, RemoteError, TransientError
from syncd.local.hint import Hint
from syncd.local.ignore import IGNORE_NAME, Filter
from syncd.model import OnDelete, Policy
from syncd.remotes.base import Changes, Dataset
from syncd.state.store import State
from syncd.value import value

log = logging.getLogger(__name__)

SLICE = 20


@value
class Doubt:
    """Events may have been lost: only a sweep can tell."""

    reason: str


@value
class Command:
    """Something a person asked for, carried out between two turns; `answer` takes the reply."""

    run: Callable[[Mirror], object]
    answer: Callable[[object], None]


@value
class Subject:
    """What a mirror is about: one folder, one dataset, and the choices in between."""

    name: str
    root: Path
    policy: Policy
    chosen: Filter


class Nudge:
    """Nothing but a reason to end a wait."""


Message = Hint | Doubt | Changes | Command | DeniedError | Nudge | list[Result] | Answers | None


class Mirror:
    """One mirror at work. Everything but `post` belongs to the control thread."""

    def __init__(
        self,
        subject: Subject,
        state: State,
        dataset: Dataset,
        clock: Clock,
        *,
        pool: Workers,
        removes: bool,
    ) -> None:
        """`pool` makes the workers from what they do and where results go; without `removes`
        vanished files are noticed, for moves, but nothing at the remote is removed for them."""
        self.subject = subject
        self.state = state
        self.dataset = dataset
        self.clock = clock
        self.tally = Tally()
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.guard = Guard(subject.root, state, clock, removes=removes)
        self.settlement = Settlement(state, clock, self.tally)
        self.observer = Observer(
            subject.root, subject.chosen, state, clock,
            grace_ns=GRACE_NS if removes else None, changed=self._changed,
        )  # fmt: skip
        forever = subject.policy.on_delete is OnDelete.DELETE
        bench = Workbench(subject.root, dataset, forever=forever)
        self.dispatcher = Dispatcher(
            state, Decider(state, subject.policy), self.settlement, self.guard, clock,
            traits=dataset.traits, pool=pool(either(bench.run, clerk(subject, dataset)), self.post),
        )  # fmt: skip
        finds = Finds(
            settled=self.dispatcher.trust, settled_sidecar=lambda path: self.sidecars.trust(path),
            doubt=lambda reason: self.post(Doubt(reason=reason)),
        )  # fmt: skip
        self.lookout = Lookout(
            subject.root, subject.chosen, state, clock,
            guard=self.guard, observer=self.observer, finds=finds,
        )  # fmt: skip
        self.sidecars = attach(self, removes=removes)
        self.comparison = Comparison(state, dataset, clock)
        self.resting: str | None = None
        """Why nothing is given out though all is well; set by whoever runs the turns."""
        self._removes = removes
        self._stored = False
        self._began = 0.0
        self.sweep_seconds = 0.0
        self.hints = 0
        """How many hints were heard since the last sweep began."""
        self._sweep: Iterator[None] | None = None

    def post(self, message: Message) -> None:
        """Give the control thread something to consider; from any thread."""
        self.inbox.put(message)

    # --- one round ------------------------------------------------------------------------------

    def turn(self, wait: float) -> None:
        """Hear what there is (for at most `wait` seconds if there is nothing to do), then act."""
        self._hear(0.0 if self._scanning else wait)
        self.lookout.look()
        self._step_sweep()
        self._step_comparison()
        if self._acting and not self._holding:
            self.dispatcher.step(scanning=self._sweep is not None)
        if self._acting and self._sweep is None and not self.dispatcher.waiting:
            self.sidecars.step()
        self.state.commit()

    @property
    def _acting(self) -> bool:
        return self.guard.closed is None and self.resting is None

    @property
    def quiet(self) -> bool:
        """Nothing is under way, nothing is due now, and nothing is waited for to become quiet."""
        return self.done and self.lookout.next_due() is None

    @property
    def done(self) -> bool:
        """Nothing is under way, and nothing is due now."""
        return (
            self._sweep is None
            and not self.comparison.wanted
            and self.inbox.empty()
            and self.dispatcher.idle
            and self.sidecars.idle
        )

    @property
    def sweeping(self) -> bool:
        """A scan is under way."""
        return self._sweep is not None

    @property
    def _scanning(self) -> bool:
        """There is a step of a scan or a comparison to take, so nothing to wait for."""
        return self._sweep is not None or self._comparing

    @property
    def _comparing(self) -> bool:
        able = self.guard.closed is None and not self.dispatcher.waiting
        return able and self.comparison.wanted

    @property
    def _holding(self) -> bool:
        """Before a scan is over, a file that moved looks like a new one: wait for its old half.
        Where nothing was ever stored there is no old half, and sending begins at once."""
        return self._sweep is not None and self._stored

    def wait_for(self, longest: float) -> float:
        """How many seconds the next turn may sleep."""
        soonest = self.lookout.next_due()
        wait = longest if soonest is None else soonest - self.clock.monotonic()
        due = self.next_due()
        if due is not None and self._acting:
            wait = min(wait, (due - self.clock.now_ns()) / 1e9)
        return max(0.0, min(wait, longest))

    def next_due(self) -> int | None:
        """When there is next something to give out, in ns; None: not before something happens."""
        dues = (self.dispatcher.next_due(), self.sidecars.next_due())
        return min((due for due in dues if due is not None), default=None)

    def sweep(self) -> None:
        """Begin a full scan; the turns to come carry it out."""
        if self.guard.check() is None:
            self.tally.scanning = True
            self._stored = self.state.receipts.anything_stored()
            self._began = self.clock.monotonic()
            self.hints = 0
            self._sweep = self.observer.sweep()

    def hear_of(self, changes: Changes) -> None:
        """Take in a page of the remote's change feed, unless it is another remote by now."""
        self.guard.generation(changes.generation)
        if self.guard.closed is None:
            learn(self.state, current(self.state, changes.items), self.clock.now_ns())
            self.state.meta.put(cursor=changes.cursor)

    def close(self) -> None:
        """Let running jobs end, write down what came of them, close the state file."""
        self.dispatcher.close()
        self._hear(0.0)
        self.state.close()

    # --- parts of a round -------------------------------------------------------------------------

    def _hear(self, wait: float) -> None:
        try:
            message = self.inbox.get(timeout=wait) if wait > 0 else self.inbox.get_nowait()
            while True:
                self._consider(message)
                message = self.inbox.get_nowait()
        except queue.Empty:
            pass

    def _consider(self, message: Message) -> None:
        match message:
            case list():
                self._results(message)
            case Answers():
                self.sidecars.back(message)
            case Hint():
                self._hint(message)
            case Doubt():
                log.info("doubt reason=%s", message.reason)
                self.tally.doubts += 1
                self.sweep()
            case Changes():
                self.hear_of(message)
            case Command():
                message.answer(message.run(self))
            case Nudge() | None:
                pass
            case DeniedError():
                self.settlement.denied = message

    def _results(self, results: list[Result]) -> None:
        self.dispatcher.back(results)
        for path, stat in self.settlement.unsettled:
            self.lookout.wait(path, stat)
        self.settlement.unsettled.clear()
        if self.settlement.puzzled:
            self.settlement.puzzled = False
            self.state.meta.put(compare=True)
        done = [result for result in results if result.outcome and result.outcome.error is None]
        self.lookout.sent(result.step.path for result in done)

    def _hint(self, hint: Hint) -> None:
        self.hints += 1
        if hint.path.rpartition("/")[2] == IGNORE_NAME:
            self.sweep()
        else:
            self.lookout.hint(hint)

    def _changed(self, path: str) -> None:
        if path in self.dispatcher.busy:
            self.settlement.touched.add(path)

    def _step_sweep(self) -> None:
        # A slice of the scan, then the workers get their share of this thread's time.
        for _ in range(SLICE):
            if self._sweep is None:
                return
            try:
                next(self._sweep)
            except StopIteration:
                self._sweep = None
                self._swept()
            except LocalError as error:
                self._sweep = None
                self.post(Doubt(reason=str(error)))

    def _step_comparison(self) -> None:
        if self._comparing:
            try:
                if self.comparison.step():
                    self.dispatcher.reached()
            except RemoteError as error:
                self._broken_off(error)

    def _broken_off(self, error: RemoteError) -> None:
        log.warning("comparison broken off reason=%s", error)
        if isinstance(error, DeniedError):
            self.settlement.denied = error
        else:
            again = error if isinstance(error, TransientError) else TransientError(error.message)
            self.dispatcher.missed(again)

    def _swept(self) -> None:
        now = self.clock.now_ns()
        self.state.agenda.wake_open(now)
        if self._removes:
            self.state.agenda.wake_gone(now + GRACE_NS)
            self.sidecars.swept()
            self.guard.review()
        self.state.meta.put(last_sweep=now)
        self.sweep_seconds = self.clock.monotonic() - self._began
        self.tally.counted(self.observer.files, self.state.agenda.pending().bytes)
        log.info("swept files=%d", self.observer.files)
