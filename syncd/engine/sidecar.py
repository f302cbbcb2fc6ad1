"""The sidecars of one mirror: `a.jpg.json` beside `a.jpg` sets that item's annotations.

Used by the control thread only, called once a turn; a tree without sidecars costs it one look at
a boolean. One errand is out at a time. What may be sent is written down before it is sent, and
what came of it is decided anew, so a run can be killed anywhere.
"""

from __future__ import annotations

from dataclasses import replace

from syncd.clock import Clock
from syncd.engine.settlement import GRACE_NS
from syncd.engine.sidecar_settlement import SECOND, SidecarSettlement, Ways, nothing
from syncd.engine.sidecar_work import Answers, Errand, Page, Parcel
from syncd.model import Item, Receipt
from syncd.plan.backoff import LONGEST
from syncd.plan.sidecar import Beside, Kind, Need, Picture, need
from syncd.state.row import Row
from syncd.state.sidecars import Sidecar
from syncd.state.store import State

BATCH = 100
BATCH_BYTES = 8 * 1024 * 1024


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
        self._settlement = SidecarSettlement(state, clock, ways)
        self._trusted: set[str] = set()
        if self._table.any:
            # What an earlier run had given out, or waited for, is decided anew.
            now = clock.now_ns()
            self._table.wakes.hurry(now, now)

    @property
    def annotated(self) -> int:
        """How many times a sidecar changed what the remote has."""
        return self._settlement.annotated

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
        return 0 if self._settlement.parcels else self._table.wakes.next_due()

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
        if self._settlement.parcels:
            # From here on it may be at the remote, whatever becomes of this process.
            self._state.commit()
            self._give(Errand(parcels=self._settlement.hand_out()))
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
                self._settlement.read(row, reading)
        for delivery in answers.deliveries:
            row = self._table.at(delivery.parcel.path)
            if row is not None:
                self._settlement.delivered(row, delivery)

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
            self._settlement.disclaim(row)
        elif what is Need.REMOVE:
            self._take_away(row)
        else:
            return self._page(row, beside.receipt if beside and what is Need.WEIGH else None)
        return None

    def _page(self, row: Sidecar, receipt: Receipt | None) -> Page:
        settled = row.path in self._trusted
        self._trusted.discard(row.path)
        return Page(path=row.path, stat=row.stat, settled=settled, item=_item(receipt))

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
        sets = tuple(nothing(item, op) for op in row.brought if op not in kept)
        if sets:
            self._settlement.parcels.append(
                Parcel(path=row.path, item_id=item, digest="", sets=sets)
            )
        else:
            self._settlement.disclaim(row)

    def _lies(self, row: Sidecar) -> bool:
        """Whether it lies beside the picture of the item that it was set on."""
        if row.gone or row.kind == Kind.OTHER:
            return False
        beside = self._state.files.row(row.picture)
        return bool(beside and beside.receipt and beside.receipt.id == row.item_id)


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
