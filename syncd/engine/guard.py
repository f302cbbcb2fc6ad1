"""What stops a mirror from acting on what it sees: a root in doubt, a restored remote, a removal
of too much. A person opens the gate again with `syncd approve PLAN`.

The gate is looked at before anything is believed to be gone and before anything is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from syncd.errors import UnreadableError
from syncd.local.root import RootIdentity, claim, identify, trouble
from syncd.model import Verb
from syncd.plan.guard import exceeds, fingerprint
from syncd.state.store import State

log = logging.getLogger(__name__)


class Guard:
    """The gate of one mirror. `closed` says why nothing is done now, or is None."""

    def __init__(self, root: Path, state: State, *, removes: bool) -> None:
        self._root = root
        self._state = state
        self._removes = removes
        self.closed: str | None = None

    def bind(self) -> None:
        """Tie the state to this root the first time, or compare it with the root it knows."""
        if self._state.meta.get("root") is None:
            self._claim()
        self.check()

    def check(self) -> str | None:
        """Look at the root; return why it cannot be trusted, or None. Other reasons stay."""
        known = self._state.meta.get("root")
        doubt = trouble(self._root, RootIdentity(**known)) if known else None
        if doubt is not None:
            self.close("root", doubt)
        elif (self._state.meta.get("gate") or {}).get("kind") == "root":
            self._open()
        return self.closed

    def generation(self, found: str) -> None:
        """Compare the remote's generation with the one the receipts are from."""
        known = self._state.meta.get("generation")
        if known is None:
            self._state.meta.put(generation=found)
        elif known != found:
            self.close("generation", "the remote was restored from a backup")
            self._state.meta.put(generation_found=found)

    def allows(self, busy: Iterable[str]) -> bool:
        """Whether the removals that stand now may be carried out."""
        stored, _ = self._state.receipts.count()
        waiting = self.removals(busy)
        plan = fingerprint(waiting)
        if not exceeds(len(waiting), stored) or self._state.meta.get("approved") == plan:
            return True
        reason = f"{len(waiting)} of {stored} stored files are gone: they are not removed unasked"
        self._state.meta.put(held={"plan": plan, "removals": len(waiting), "reason": reason})
        log.warning("removals held back count=%d stored=%d plan=%s", len(waiting), stored, plan)
        return False

    def removals(self, busy: Iterable[str]) -> list[str]:
        """The lines of the plan that removes everything vanished."""
        under_way = set(busy)
        return [
            f"{Verb.REMOVE} {row.receipt.id} {row.receipt.version} {row.receipt.key}"
            for row in self._state.receipts.removals()
            if row.receipt and row.path not in under_way
        ]

    def close(self, kind: str, reason: str) -> None:
        """Stop acting until the reason is gone or a person approves the plan named in status."""
        if self.closed != reason:
            log.warning("paused reason=%s", reason)
        self.closed = reason
        found = self._look()
        plan = fingerprint([kind, reason, str(found)])
        # A root that is not there cannot be approved: it has to come back by itself.
        self._state.meta.put(
            gate={"kind": kind, "reason": reason, "plan": plan, "ask": found is not None}
        )

    def approve(self, plan: str) -> str | None:
        """Carry out what was asked about; return what it was, or None for a plan not asked."""
        gate, held = self._state.meta.get("gate"), self._state.meta.get("held")
        if gate and gate["plan"] == plan:
            if gate["kind"] == "root":
                self._claim()
            elif gate["kind"] == "generation":
                self._state.meta.put(generation=self._state.meta.get("generation_found"), cursor=0)
            self._open()
            return str(gate["reason"])
        if held and held["plan"] == plan:
            self._state.meta.put(approved=plan, held=None)
            return str(held["reason"])
        return None

    def release(self) -> None:
        """Removals were carried out, or are no longer too many."""
        if self._state.meta.get("held") or self._state.meta.get("approved"):
            self._state.meta.put(held=None, approved=None)

    def _claim(self) -> None:
        known = identify(self._root)
        marker = claim(self._root, known.marker or uuid4().hex)
        self._state.meta.put(root={"fsid": known.fsid, "inode": known.inode, "marker": marker})

    def _open(self) -> None:
        log.info("resumed")
        self.closed = None
        self._state.meta.put(gate=None)

    def _look(self) -> object:
        try:
            return identify(self._root)
        except UnreadableError:
            return None
