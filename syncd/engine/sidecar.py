"""The sidecars of one mirror: `a.jpg.json` beside `a.jpg` sets that item's annotations.

Used by the control thread only, called once a turn; a tree without sidecars costs it one look at
a boolean. One errand is out at a time. What may be sent is written down before it is sent, and
what came of it is decided anew, so a run can be killed anywhere.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace

from syncd.annotation.model import AnnotationSet
from syncd.clock import Clock
from syncd.engine.settlement import GRACE_NS
from syncd.engine.sidecar_work import Answers, Delivery, Errand, Page, Parcel, Reading
from syncd.errors import (
    DeniedError,
    MissingError,
    SyncdError,
    TransientError,
    UnsettledError,
    VanishedError,
)
from syncd.model import Item, Receipt, Stat
from syncd.plan.backoff import LONGEST, delay
from syncd.plan.sidecar import Beside, Kind, Need, Picture, need, weigh
from syncd.state.row import Row
from syncd.state.sidecars import Sidecar
from syncd.state.store import State
from syncd.value import value

log = logging.getLogger(__name__)

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024
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


class Sidecars:
    """Decides what is due and settles what came back, for one mirror."""

    def __init__(
        self, state: State, clock: Clock, ways: Ways, *, able: bool, removes: bool, keeps: bool
    ) -> None:
        """`able` tells whether the remote has annotations at all. Without `removes` deletions are
        left to a later run; a mirror that `keeps` the items of deleted files keeps the annotations
        of deleted sidecars too."""
        self._state = state
        self._table = state.sidecars
        self._clock = clock
        self._ways = ways
        self.able = able
        self._removes = removes
        self._keeps = keeps
        self._out = False
        self._parcels: list[Parcel] = []
        self._trusted: set[str] = set()
        self.annotated = 0
        """How many times a sidecar changed what the remote has."""
        if self._table.any:
            # What an earlier run had given out, or waited for, is decided anew.
            now = clock.now_ns()
            self._table.wakes.hurry(now, now)

    @property
    def idle(self) -> bool:
        """Nothing is given out, and nothing is due now."""
        due = self._due()
        return not self._out and (due is None or due > self._clock.now_ns())

    def next_due(self) -> int | None:
        """When there will be something to do, in ns; None: not before something happens."""
        due, away = self._due(), self._state.meta.get("away")
        return max(due, away["until_ns"]) if due is not None and away else due

    def _due(self) -> int | None:
        if not self._table.any or not self.able or self._out:
            return None
        return 0 if self._parcels else self._table.wakes.next_due()

    def trust(self, path: str) -> None:
        """The file was the same at two looks: it may be read without a lease."""
        self._trusted.add(path)

    def swept(self) -> None:
        """A scan is over: what is gone is gone, unless it turns up under another name."""
        if self._table.any:
            self._table.wakes.gone(self._clock.now_ns() + GRACE_NS)

    def retry(self) -> None:
        """Try again now what could not be set."""
        if self._table.any:
            self._table.wakes.troubled(self._clock.now_ns())

    def step(self) -> None:
        """Give an errand out, where there is something to do and none is under way."""
        if not self._table.any or self._out:
            return
        if self._state.meta.get("annotates") is not self.able:
            self._state.meta.put(annotates=self.able)
        if not self.able:
            return
        self._doubt_restored()
        if self._parcels:
            # From here on it may be at the remote, whatever becomes of this process.
            self._state.commit()
            parcels, self._parcels = tuple(self._parcels), []
            self._give(Errand(parcels=parcels))
        else:
            self._decide()

    def back(self, answers: Answers) -> None:
        """An errand is over: write down what came of it."""
        self._out = False
        if _answered(answers):
            self._ways.reached()
        for reading in answers.readings:
            row = self._table.at(reading.page.path)
            if row is not None and row.gone is None:
                self._read(row, reading)
        for delivery in answers.deliveries:
            row = self._table.at(delivery.parcel.path)
            if row is not None:
                self._delivered(row, delivery)

    # --- what is due ------------------------------------------------------------------------------

    def _give(self, errand: Errand) -> None:
        self._out = True
        self._ways.give(errand)

    def _doubt_restored(self) -> None:
        generation = self._state.meta.get("generation")
        if self._state.meta.get("sidecars_at") != generation:
            self._state.meta.put(sidecars_at=generation)
            self._table.wakes.doubted(self._clock.now_ns())

    def _decide(self) -> None:
        now = self._clock.now_ns()
        due = self._table.wakes.next_due()
        if due is None:
            return
        if due > now + 2 * int(LONGEST * SECOND):
            self._table.wakes.hurry(now, due - 1)  # The clock was set.
        pages: list[Page] = []
        bytes = 0
        for row in self._table.wakes.due(now, BATCH):
            if row.gone and pages:
                break  # What it brought may belong to one of those.
            page = self._one(row)
            if page is not None:
                pages.append(page)
                bytes += page.stat[0]
            if bytes > BATCH_BYTES or (row.tries and page):
                break  # One that failed is tried alone: it may be the trouble.
        if pages:
            self._give(Errand(pages=tuple(pages)))

    def _one(self, row: Sidecar) -> Page | None:
        """Decide one; what there is to read of it."""
        if row.gone and not self._removes:
            self._table.keep(replace(row, due=None))
            return None
        beside = self._state.files.row(row.picture)
        picture = self._picture(beside) if beside else None
        if row.item_id is None and not row.gone and picture and picture.item:
            row = self._as_moved(row, picture.item)
        what = need(_beside(row), picture, self._owner(row), removes=not self._keeps)
        if what in (Need.NOTHING, Need.WAIT):
            self._table.keep(replace(row, due=None))
        elif what is Need.FORGET:
            self._disclaim(row)
        elif what is Need.REMOVE:
            self._take_away(row)
        else:
            return self._page(row, beside.receipt if beside and what is Need.WEIGH else None)
        return None

    def _page(self, row: Sidecar, receipt: Receipt | None) -> Page:
        settled = row.path in self._trusted
        self._trusted.discard(row.path)
        return Page(path=row.path, stat=row.stat, settled=settled, item=_item(receipt))

    def _disclaim(self, row: Sidecar) -> None:
        """Nothing of it is at the remote, or is to stay there."""
        if row.gone:
            self._table.forget([row])
        else:
            self._table.keep(replace(row, item_id=None, applied=None, brought=(), due=None))

    def _picture(self, row: Row) -> Picture:
        receipt, trouble = row.receipt, self._state.troubles.tries(row.path)
        agreed = receipt is not None and row.digest == receipt.digest and row.due is None
        held = receipt.id if receipt and agreed and not trouble and not row.gone else None
        pending = row.due is not None and not trouble and not row.gone
        return Picture(item=held, gone=bool(row.gone), pending=pending)

    def _owner(self, row: Sidecar) -> Picture | None:
        """Who has the item that the sidecar was set on."""
        if row.item_id is None:
            return None
        found = self._state.receipts.by_item([row.item_id]).get(row.item_id)
        return self._picture(found) if found else None

    def _as_moved(self, row: Sidecar, item_id: str) -> Sidecar:
        """Where a sidecar of this picture left another name and looks like this one, it moved with
        its picture, and what is set is set."""
        old = self._table.left(row.stat)
        if old is None or old.item_id != item_id:
            return row
        moved = replace(old, picture=row.picture, gone=None, stat=row.stat, due=row.due)
        self._table.keep(moved)
        self._table.forget([old])
        return moved

    def _take_away(self, row: Sidecar) -> None:
        item = row.item_id or ""
        if row.gone and self._ways.exists(row.path):
            self._table.keep(replace(row, gone=None, digest=None, kind=Kind.UNREAD.value))
            return
        kept = {op for other in self._table.on(item) if self._lies(other) for op in other.brought}
        sets = tuple(_nothing(item, op) for op in row.brought if op not in kept)
        if sets:
            self._parcels.append(Parcel(path=row.path, item_id=item, digest="", sets=sets))
        else:
            self._disclaim(row)

    def _lies(self, row: Sidecar) -> bool:
        """Whether it lies beside the picture of the item that it was set on."""
        if row.gone or row.kind == Kind.OTHER:
            return False
        beside = self._state.files.row(row.picture)
        return bool(beside and beside.receipt and beside.receipt.id == row.item_id)

    # --- what came back ---------------------------------------------------------------------------

    def _read(self, row: Sidecar, reading: Reading) -> None:
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
        sets += [_nothing(item.id, op) for op in change.drop]
        self._parcels.append(
            Parcel(path=row.path, item_id=item.id, digest=reading.digest, sets=tuple(sets))
        )
        return replace(row, applied=None, due=self._clock.now_ns() + NET_NS)

    def _delivered(self, row: Sidecar, delivery: Delivery) -> None:
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
            self._disclaim(row)
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


def _item(receipt: Receipt | None) -> Item | None:
    if receipt is None:
        return None
    return Item(key=receipt.key, id=receipt.id, version=receipt.version, digest=receipt.digest)


def _answered(answers: Answers) -> bool:
    """Whether the remote has."""
    asked = any(reading.page.item and not reading.error for reading in answers.readings)
    return asked or any(not delivery.error for delivery in answers.deliveries)


def _beside(row: Sidecar) -> Beside:
    return Beside(
        gone=row.gone is not None,
        kind=Kind(row.kind),
        item=row.item_id,
        current=row.digest is not None and row.applied == row.digest,
        brought=bool(row.brought),
    )


def _nothing(item_id: str, operation: str) -> AnnotationSet:
    """The set that takes an operation's annotations away."""
    return AnnotationSet(
        item_id=item_id, operation=operation, model=False, digest=NO_CONTENT, annotations=()
    )


def _says(some: AnnotationSet, *, exact: bool) -> object:
    """What has to be equal for a set to be there already: where nobody made the sidecar anew, not
    the content it was made on, for that is only known of what the picture holds now."""
    return (some.model, some.annotations, some.digest if exact else "")
