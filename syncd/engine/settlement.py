"""Results of jobs, brought into the state file: the second half of every action.

Used by the control thread only. A receipt is written only for an answer in which the remote named
the very digest that was read here. Errors become the next try, by their class.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import replace

from syncd.clock import Clock
from syncd.engine.job import Result, receipt_of
from syncd.engine.news import learn, overtaken
from syncd.engine.report import Tally
from syncd.errors import (
    ConflictError,
    DeniedError,
    GarbledError,
    MissingError,
    SyncdError,
    TransientError,
    UnsettledError,
    VanishedError,
)
from syncd.model import Action, Item, Receipt, Stat, Verb
from syncd.plan.backoff import delay
from syncd.state.receipts import ORPHANS
from syncd.state.row import Row
from syncd.state.store import State
from syncd.state.troubles import Trouble, split

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
GRACE_NS = 2 * SECOND
"""How long a vanished file waits for the other half of a move before its item is removed."""


class Settlement:
    """Writes results for one mirror; what needs a further look is left in `unsettled`."""

    def __init__(self, state: State, clock: Clock, tally: Tally) -> None:
        self._state = state
        self._clock = clock
        self._tally = tally
        self._agreed: list[tuple[str, Stat, Receipt]] = []
        self.touched: set[str] = set()
        """Paths that changed on disk while a job had them: their result is of old content."""
        self.unsettled: list[tuple[str, Stat]] = []
        self.denied: DeniedError | None = None
        self.puzzled = False
        """The remote has lost an item, or moved it, without our hearing of it."""

    def take(self, results: list[Result]) -> None:
        """Record what became of a job's steps."""
        for result in results:
            self._take(result)
        self._flush()

    def doubt(self, results: Sequence[Result]) -> None:
        """These may have been carried out: whether they were, the remote's list will tell."""
        self.puzzled |= any(
            result.step.action.verb in (Verb.REPLACE, Verb.MOVE, Verb.REMOVE) for result in results
        )

    def _take(self, result: Result) -> None:
        error = result.error or (result.outcome.error if result.outcome else None)
        verb = result.step.action.verb
        if error is not None:
            self._fail(result, error)
        elif verb is Verb.READ:
            self._read(result)
        elif verb in (Verb.PUT, Verb.REPLACE):
            self._stored(result)
        elif verb is Verb.MOVE:
            self._moved(result)
        elif verb is Verb.REMOVE:
            self._removed(result)

    def _read(self, result: Result) -> None:
        if result.content is None:
            return
        path = result.step.path
        if path in self.touched:
            self._state.agenda.settle(path, self._clock.now_ns())
        else:
            # Behind every row that was due before: those may be this one's siblings.
            due = self._clock.now_ns()
            self._state.files.read(path, result.content.stat, result.content.digest, due)

    def _stored(self, result: Result) -> None:
        path, content, outcome = result.step.path, result.content, result.outcome
        item = outcome.item if outcome else None
        if content is None or outcome is None or item is None or item.digest != content.digest:
            told = item.digest if item else None
            self._fail(
                result, GarbledError(f"the remote said it stored {told}, which was not sent")
            )
            return
        self._agree(path, content.stat, item)
        self._did("stored", result.step.action)
        self._tally.uploaded += 1
        self._tally.bytes += outcome.sent
        self._tally.tell(path)
        log.debug("stored path=%r key=%r bytes=%d", path, item.key, outcome.sent)

    def _moved(self, result: Result) -> None:
        action, outcome = result.step.action, result.outcome
        receipt = receipt_of(action)
        if outcome is None or outcome.item is None or receipt is None:
            self._fail(result, GarbledError("the remote did not say what it moved"))
            return
        self.hand_over(action, outcome.item)
        self._tally.moved += 1
        self._tally.tell(action.path)

    def hand_over(self, action: Action, item: Item) -> None:
        """Give an item's receipt to the path its file went to."""
        receipt = receipt_of(action)
        if receipt is None or action.triple is None or action.triple.local is None:
            return
        if action.origin is not None:
            self._leave(action.origin.path, action.path, receipt)
        kept = Item(key=item.key, id=item.id, version=item.version, digest=receipt.digest)
        self._agree(action.path, action.triple.local.stat, kept)
        self._did("moved", action)

    def _leave(self, old: str, new: str, receipt: Receipt) -> None:
        """The receipt leaves `old`, which takes over the one `new` has had, if it had any: that
        file may have moved on too, or it is gone like any other."""
        left, come = self._state.files.row(old), self._state.files.row(new)
        if left is None or left.receipt is None or left.receipt.id != receipt.id:
            return
        now = self._clock.now_ns()
        if come and come.receipt:
            self._state.receipts.own(old, come.receipt, come.kept)
            self._state.receipts.disown(new)
            self._state.agenda.settle(old, now + GRACE_NS if left.gone else now)
        elif left.gone:
            self._state.files.forget([old])
        else:
            self._state.receipts.disown(old)
            self._state.agenda.settle(old, max(now, left.due or now))

    def _removed(self, result: Result) -> None:
        receipt = receipt_of(result.step.action)
        row = self._state.files.row(result.step.path)
        if row is None or receipt is None:
            return
        if row.gone:
            self._state.files.forget([row.path])
        else:
            # It came back while its item was on the way to the trash: a new file now.
            self._state.files.forget([row.path])
            self._state.files.see(row.dir, {row.name: row.stat}, self._clock.now_ns())
        self._state.overlay.forget([receipt.id], self._clock.now_ns())
        self._did("removed", result.step.action)
        self._tally.removed += 1

    def adopt(self, action: Action) -> None:
        """The remote holds this content already: only the receipt is missing."""
        triple = action.triple
        if triple is None or triple.local is None or triple.remote is None:
            return
        remote = replace(triple.remote, digest=triple.remote.digest or triple.local.digest)
        self._state.names.evict(action.path, remote.key)
        self._agree(action.path, triple.local.stat, remote)
        self._flush()
        if action.key != remote.key:
            # The layout wants it elsewhere: that is decided next, with the receipt in hand.
            self._state.names.place([(action.path, action.key)])
            self._state.agenda.settle(action.path, self._clock.now_ns())
        self._did("adopted", action)
        self._tally.adopted += 1
        self._tally.tell(action.path)

    def _flush(self) -> None:
        if self._agreed:
            self._state.receipts.agree(self._agreed)
            receipts = {path: receipt for path, _, receipt in self._agreed}
            self._agreed.clear()
            overtaken(self._state, receipts, self._clock.now_ns())

    def _agree(self, path: str, stat: Stat, item: Item) -> None:
        receipt = Receipt(
            key=item.key, id=item.id, version=item.version, digest=item.digest or "",
            stored_ns=self._clock.now_ns(),
        )  # fmt: skip
        if path in self.touched:
            self._late(path, stat, receipt)
        else:
            self._agreed.append((path, stat, receipt))

    def _did(self, verb: str, action: Action) -> None:
        self._state.history.note(self._clock.now_ns(), action.path, verb, action.reason)

    def _late(self, path: str, stat: Stat, receipt: Receipt) -> None:
        """A receipt for content the file no longer has, or for a file that is gone by now."""
        now = self._clock.now_ns()
        if self._state.files.row(path) is None:
            folder, name = split(path)
            self._state.files.see(folder, {name: stat}, now)
            self._state.receipts.receive(path, stat, receipt, now)
            self._state.names.place_free({path: receipt.key})
            self._state.files.miss(folder, [name], now, now + GRACE_NS)
        else:
            self._state.receipts.receive(path, stat, receipt, now)

    # --- what went wrong --------------------------------------------------------------------------

    def _fail(self, result: Result, error: SyncdError) -> None:
        path, now = result.step.path, self._clock.now_ns()
        if path in self.touched:
            self._state.agenda.settle(path, now)
        elif isinstance(error, VanishedError):
            folder, name = split(path)
            self._state.files.miss(folder, [name], now, now + GRACE_NS)
            self._tally.tell(path)
        elif isinstance(error, UnsettledError):
            # `due` is the safety net; the two looks of `Settle` come long before it.
            self._state.agenda.settle(path, now + 60 * SECOND)
            stat = result.content.stat if result.content else result.step.stat
            self.unsettled.append((path, stat))
        elif isinstance(error, DeniedError):
            self.denied = error
            self._state.agenda.settle(path, now)
        elif isinstance(error, ConflictError | MissingError):
            self._mistaken(result, error)
        else:
            self._retry(path, error)

    def _mistaken(self, result: Result, error: SyncdError) -> None:
        """The item is not what we thought, or is not at all."""
        verb = result.step.action.verb
        if result.outcome and result.outcome.item:
            self._contested(result, result.outcome.item)
        elif verb is Verb.REMOVE and isinstance(error, MissingError) and result.outcome:
            self._removed(result)
        else:
            # What has become of our item, only the remote's own list can tell.
            self.puzzled |= verb in (Verb.REPLACE, Verb.MOVE)
            self._retry(result.step.path, error)

    def _contested(self, result: Result, item: Item) -> None:
        """The remote holds something else there: remember it and decide again."""
        path, now = result.step.path, self._clock.now_ns()
        owner = self._state.receipts.by_item([item.id]).get(item.id)
        origin, receipt = result.step.action.origin, receipt_of(result.step.action)
        # Somebody else's has our item's name: where is ours?
        self.puzzled |= receipt is not None and receipt.key == item.key and receipt.id != item.id
        if result.content is not None:
            self._state.files.read(path, result.content.stat, result.content.digest, now)
        if owner is None or owner.path in (path, origin.path if origin else path):
            learn(self._state, [item], now)
            if origin and owner and owner.receipt and self._stuck(path):
                # The item in the way does not leave with its file, so it is for the new one.
                self._state.receipts.own(path, owner.receipt)
            if owner is None and item.key == result.step.action.key:
                self._state.names.place([(path, None)])
        elif self._our_doing(item, owner):
            self._inherit(path, owner)
            return
        elif self._stays(owner, path):
            self._state.names.evict(owner.path, item.key)
            self._state.names.place([(owner.path, item.key)])
        self._again(path, ConflictError("the remote changes faster than it can be compared"))

    def _our_doing(self, item: Item, owner: Row) -> bool:
        """Whether an item got its key by what we did and never heard of, for a file whose content
        is nowhere any more."""
        if not owner.gone or item.by != self._state.meta.get("source"):
            return False
        return owner.dir == ORPHANS or owner.key not in (None, item.key)

    def _inherit(self, path: str, former: Row) -> None:
        """The name is held by such an item: it is this file's former version, unless a file turns
        up that it went with."""
        waited = self._state.troubles.tries(path) > 0
        if former.receipt and (waited or not self._awaited(former, path)):
            self._state.files.forget([former.path])
            self._state.receipts.own(path, former.receipt)
            self._again(path, ConflictError("the remote changes faster than it can be compared"))
        else:
            self._note(path, "failed", "its name is still that of a file that moved", 2.0)

    def _awaited(self, former: Row, path: str) -> bool:
        digest = former.receipt.digest if former.receipt else ""
        return self._state.files.unstored(former.stat[0], digest, path)

    def _stays(self, owner: Row, path: str) -> bool:
        """Whether the owner of the item in the way will not leave the key by itself."""
        return owner.gone is not None or owner.key is None or self._stuck(path)

    def _stuck(self, path: str) -> bool:
        return self._state.troubles.tries(path) > 3

    def _again(self, path: str, error: SyncdError) -> None:
        """Decide anew at once, or later where that was done too often in a row."""
        if self._state.troubles.tries(path) > 5:
            self._retry(path, error)
        else:
            self._note(path, "failed", "decided again: the remote changed meanwhile", 0.0)

    def _retry(self, path: str, error: SyncdError) -> None:
        tries = self._state.troubles.tries(path)
        wait = delay(error, tries, random.random())  # noqa: S311
        if not tries:
            self._state.history.note(self._clock.now_ns(), path, "failed", error.message)
        self._tally.retries += wait is not None
        self._note(path, "failed", error.message, wait)
        if wait is None or not isinstance(error, TransientError):
            log.warning("failed path=%r reason=%s retry_s=%s", path, error.message, wait)
        if wait is None:
            self._tally.tell(path)

    def _note(self, path: str, kind: str, reason: str, wait: float | None) -> None:
        now = self._clock.now_ns()
        self._state.troubles.note(
            Trouble(
                path=path, kind=kind, reason=reason, since_ns=now,
                tries=self._state.troubles.tries(path) + 1,
                retry_ns=None if wait is None else now + int(wait * SECOND),
            )
        )  # fmt: skip

    def refuse(self, path: str, kind: str, reason: str, key: str | None = None) -> None:
        """List a path that is not to be tried again before something changes."""
        known, now = self._state.troubles.tries(path), self._clock.now_ns()
        if not known:
            self._state.history.note(now, path, kind, reason)
        self._state.troubles.note(
            Trouble(
                path=path, kind=kind, reason=reason, key=key, tries=max(1, known),
                since_ns=now, retry_ns=None,
            )
        )  # fmt: skip
        self._tally.tell(path)
        log.info("listed path=%r kind=%s reason=%s", path, kind, reason)
