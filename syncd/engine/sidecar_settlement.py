"""What comes of a sidecar that was read or sent, written down; the counterpart of `Settlement`.

Used by the control thread only. What is to be sent next is noted first, and handed back.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace

from syncd.annotation.model import AnnotationSet
from syncd.clock import Clock
from syncd.engine.sidecar_work import Delivery, Errand, Parcel, Reading
from syncd.errors import (
    DeniedError,
    MissingError,
    SyncdError,
    TransientError,
    UnsettledError,
    VanishedError,
)
from syncd.model import Item, Stat
from syncd.plan.backoff import delay
from syncd.plan.sidecar import Kind, weigh
from syncd.state.sidecars import Sidecar
from syncd.state.store import State
from syncd.value import value

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
NO_CONTENT = "0" * 64
"""What a set that says nothing was made on."""
NET_NS = 60 * SECOND
"""When a sidecar that is being written is looked at again, should its two looks get lost."""


@value
class Ways:
    """What the sidecars need of their mirror: to give an errand out; to tell that the remote has
    answered, is away or does not want us, that a file is being written, was had whole or has
    vanished; and to know whether a path may be there."""

    give: Callable[[Errand], None]
    reached: Callable[[], None]
    missed: Callable[[TransientError], None]
    denied: Callable[[DeniedError], None]
    unsettled: Callable[[str, Stat], None]
    settled: Callable[[str], None]
    vanished: Callable[[str], object]
    exists: Callable[[str], bool]


class SidecarSettlement:
    """Writes down what became of readings and deliveries."""

    def __init__(self, state: State, clock: Clock, ways: Ways) -> None:
        self._state = state
        self._table = state.sidecars
        self._clock = clock
        self._ways = ways
        self.parcels: list[Parcel] = []
        """What is to be sent, once all this was committed."""
        self.annotated = 0
        """How many times a sidecar changed what the remote has."""

    def hand_out(self) -> tuple[Parcel, ...]:
        """Take what is to be sent."""
        parcels, self.parcels = tuple(self.parcels), []
        return parcels

    def disclaim(self, row: Sidecar) -> None:
        """Nothing of it is at the remote, or is to stay there."""
        if row.gone:
            self._table.forget([row])
        else:
            self._table.keep(replace(row, item_id=None, applied=None, brought=(), due=None))

    def read(self, row: Sidecar, reading: Reading) -> None:
        """A sidecar was read, or could not be."""
        if reading.error is not None:
            self._failed(row, reading.error)
            return
        if row.stat != reading.page.stat or reading.stat is None:
            return  # It changed meanwhile, and is due again.
        self._ways.settled(row.path)
        now = self._clock.now_ns()
        row = replace(
            row, stat=reading.stat, digest=reading.digest, kind=reading.kind.value,
            reason=reading.reason, tries=0, due=now,
        )  # fmt: skip
        if reading.reason:
            self._state.history.note(now, row.path, "failed", reading.reason)
            log.info("listed path=%r kind=sidecar reason=%s", row.path, reading.reason)
        if reading.kind is Kind.SIDECAR and reading.page.item is not None:
            row = self._weighed(row, reading, reading.page.item)
        self._table.keep(row)

    def _weighed(self, row: Sidecar, reading: Reading, item: Item) -> Sidecar:
        """What is to be sent goes out next turn, after what it brings was written down."""
        before = row.brought if row.item_id == item.id else ()
        changed = row.item_id == item.id and row.applied not in (None, reading.digest)
        exact = reading.shown or changed
        change = weigh(
            {op: _says(some, exact=exact) for op, some in reading.wanted.items()},
            {op: _says(some, exact=exact) for op, some in reading.there.items()},
            before,
            shown=reading.shown,
        )
        row = replace(row, item_id=item.id, brought=tuple({*change.brought, *change.drop}))
        if not change.send and not change.drop:
            return replace(row, brought=change.brought, applied=reading.digest)
        sets = [reading.wanted[op] for op in change.send]
        sets += [nothing(item.id, op) for op in change.drop]
        self.parcels.append(
            Parcel(path=row.path, item_id=item.id, digest=reading.digest, sets=tuple(sets))
        )
        return replace(row, applied=None, due=self._clock.now_ns() + NET_NS)

    def delivered(self, row: Sidecar, delivery: Delivery) -> None:
        """Its annotations were sent, or could not be."""
        parcel, error, now = delivery.parcel, delivery.error, self._clock.now_ns()
        removal = not parcel.digest
        if isinstance(error, MissingError):
            # What has become of the picture's item, only the remote's own list can tell.
            self._state.meta.put(compare=True)
        if error is not None and not (removal and isinstance(error, MissingError)):
            self._failed(row, error)
            return
        self.annotated += 1
        said = ", ".join(some.operation for some in parcel.sets)
        self._state.history.note(now, row.path, "unannotated" if removal else "annotated", said)
        if removal and (row.gone or row.kind == Kind.OTHER):
            self.disclaim(row)
        elif removal:
            self._table.keep(replace(row, brought=(), applied=None, due=now))
        elif row.item_id == parcel.item_id:
            dropped = {some.operation for some in parcel.sets if not some.annotations}
            own = tuple(op for op in row.brought if op not in dropped)
            self._table.keep(
                replace(
                    row, applied=parcel.digest, brought=own, reason=None, tries=0,
                    due=row.due if row.gone else now,
                )
            )  # fmt: skip

    def _failed(self, row: Sidecar, error: SyncdError) -> None:
        now, tries = self._clock.now_ns(), row.tries + 1
        if isinstance(error, VanishedError):
            self._ways.vanished(row.path)
            return
        if isinstance(error, UnsettledError):
            self._ways.unsettled(row.path, row.stat)
            self._table.keep(replace(row, due=now + NET_NS))
            return
        if isinstance(error, TransientError) and (not error.answered or error.retry_after):
            self._ways.missed(error)
        wait = delay(error, tries, random.random())  # noqa: S311
        due = None if wait is None else now + int(wait * SECOND)
        if isinstance(error, DeniedError):
            due = now
            self._ways.denied(error)
        if not row.tries:
            self._state.history.note(now, row.path, "failed", error.message)
            log.warning("failed path=%r kind=sidecar reason=%s", row.path, error.message)
        self._table.keep(replace(row, reason=error.message, tries=tries, due=due, applied=None))


def nothing(item_id: str, operation: str) -> AnnotationSet:
    """The set that takes an operation's annotations away."""
    return AnnotationSet(
        item_id=item_id, operation=operation, model=False, digest=NO_CONTENT, annotations=()
    )


def _says(some: AnnotationSet, *, exact: bool) -> object:
    """What has to be equal for a set to be there already: where nobody made the sidecar anew, not
    the content it was made on, for that is only known of what the picture holds now."""
    return (some.model, some.annotations, some.digest if exact else "")
