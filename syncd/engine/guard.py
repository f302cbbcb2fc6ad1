"""What stops a mirror from acting on what it sees: a root in doubt, a restored remote, a removal
of too much. A person opens the gate again with `syncd approve PLAN`.

The gate is looked at before anything is believed to be gone and before anything is removed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import uuid4

from syncd.clock import Clock
from syncd.counted import counted
from syncd.errors import UnreadableError
from syncd.local.root import RootIdentity, claim, identify, trouble
from syncd.model import Verb
from syncd.plan.guard import FEW, exceeds, fingerprint
from syncd.state.row import Row
from syncd.state.store import State

log = logging.getLogger(__name__)


LATELY_NS = 60 * 1_000_000_000
"""What was removed so long ago counts as one removal with what is removed now: files that are
deleted one after the other come to the gate one after the other."""

EVER = 2**63 - 1


class Guard:
    """The gate of one mirror. `closed` says why nothing is done now, or is None."""

    def __init__(self, root: Path, state: State, clock: Clock, *, removes: bool) -> None:
        self._root = root
        self._state = state
        self._clock = clock
        self._removes = removes
        self._gates: dict[str, dict[str, Any]] = {}
        self._lately: deque[tuple[int, int]] = deque()

    @property
    def closed(self) -> str | None:
        return next((str(gate["reason"]) for gate in self._gates.values()), None)

    def bind(self) -> None:
        """Tie the state to this root the first time, or compare it with the root it knows."""
        if self._state.meta.get("root") is None:
            self._claim()
        self.check()

    def check(self) -> str | None:
        """Look at the root; return why nothing is to be done now, or None."""
        known = self._state.meta.get("root")
        doubt = trouble(self._root, RootIdentity(**known)) if known else None
        if doubt is not None:
            self._close("root", doubt)
        else:
            self._open("root")
        return self.closed

    def generation(self, found: str) -> None:
        """Compare the remote's generation with the one the receipts are from."""
        known = self._state.meta.get("generation")
        if known is None:
            self._state.meta.put(generation=found)
        elif known != found:
            self._state.meta.put(generation_found=found)
            self._close("generation", "the remote was restored from a backup")
        else:
            self._open("generation")

    def removable(self, busy: Collection[str]) -> int:
        """Files found missing up to this time (ns) may have their items removed; 0 is none."""
        if not self._removes or self.check() is not None:
            return 0
        excess = self._excess()
        if excess is None:
            if self._state.meta.get("held"):
                self._state.meta.put(held=None)
            return EVER
        self._hold(busy, excess)
        return self.approved

    def review(self) -> None:
        """After a sweep: files that were held to be gone may be there again."""
        if self._state.meta.get("held") and self._excess() is None:
            self._state.meta.put(held=None)
        gone = self._state.receipts.count_gone
        if self.approved and gone(0) == gone(self.approved):
            self._state.meta.put(approved=None)

    def _excess(self) -> str | None:
        """Why what is gone is too much to be removed unasked, or None."""
        gone, lately = self._state.receipts.count_gone(self.approved), self._removed_lately()
        if gone + lately <= FEW:
            return None
        stored, missing = self._state.receipts.count()
        stored -= missing - gone  # What was approved to go is as good as gone.
        if not exceeds(gone + lately, stored + lately):
            return None
        return f"{gone} of {stored} stored files are gone"

    @property
    def approved(self) -> int:
        """What was found missing up to this time (ns) was approved to be removed."""
        return int(self._state.meta.get("approved") or 0)

    def removed(self, number: int) -> None:
        """So many items were removed now, without having been approved."""
        self._lately.append((self._clock.now_ns(), number))

    def approve(self, plan: str) -> str | None:
        """Let what was asked about be done; return what it is, or None for a plan not asked."""
        gate, held = self._state.meta.get("gate"), self._state.meta.get("held")
        if gate and gate["plan"] == plan:
            return self._accept(gate["kind"])
        if held and held["plan"] == plan:
            self._state.meta.put(approved=held["until_ns"], held=None)
            self._lately.clear()
            return f"the items of {counted(held['removals'], 'file')} are removed"
        return None

    def _accept(self, kind: str) -> str:
        if kind == "root":
            self._claim()
            said = "the folder that is there is mirrored"
        else:
            found = self._state.meta.get("generation_found")
            self._state.meta.put(generation=found, cursor=0, compare=True)
            said = "everything is compared with the restored remote"
        self._open(kind)
        return said

    def _removed_lately(self) -> int:
        while self._lately and self._lately[0][0] < self._clock.now_ns() - LATELY_NS:
            self._lately.popleft()
        return sum(number for _, number in self._lately)

    def _hold(self, busy: Collection[str], reason: str) -> None:
        rows = [
            row
            for row in self._state.receipts.removals()
            if row.path not in busy and (row.gone or 0) > self.approved
        ]
        plan = fingerprint(map(_line, rows))
        if (self._state.meta.get("held") or {}).get("plan") != plan:
            log.warning("removals held back plan=%s reason=%s", plan, reason)
        self._state.meta.put(
            held={
                "plan": plan,
                "removals": len(rows),
                "reason": reason,
                "until_ns": max((row.gone or 0 for row in rows), default=0),
            }
        )

    def _close(self, kind: str, reason: str) -> None:
        """Stop acting until the reason is gone or a person approves the plan named in status."""
        if self.closed != reason:
            log.warning("paused reason=%s", reason)
        found = self._look()
        plan = fingerprint([kind, reason, str(found)])
        # A root that is not there cannot be approved: it has to come back by itself.
        gate = {"kind": kind, "reason": reason, "plan": plan, "ask": found is not None}
        self._gates[kind] = gate
        self._state.meta.put(gate=gate)

    def _open(self, kind: str) -> None:
        known = self._gates.pop(kind, None)
        if (self._state.meta.get("gate") or {}).get("kind") == kind:
            self._state.meta.put(gate=next(iter(self._gates.values()), None))
        if known and not self._gates:
            log.info("resumed")

    def _claim(self) -> None:
        known = identify(self._root)
        marker = claim(self._root, known.marker or uuid4().hex)
        self._state.meta.put(root={"fsid": known.fsid, "inode": known.inode, "marker": marker})

    def _look(self) -> object:
        try:
            return identify(self._root)
        except UnreadableError:
            return None


def _line(row: Row) -> str:
    """A removal as a line of the plan that a person approves."""
    receipt = row.receipt
    return f"{Verb.REMOVE} {receipt.id} {receipt.version} {receipt.key}" if receipt else row.path
