"""How sidecars hang on their mirror: put together here, so that the mirror need not know how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from syncd.engine.sidecar import Sidecars
from syncd.engine.sidecar_settlement import Ways
from syncd.engine.sidecar_work import Answers, Clerk, Errand, broken_off
from syncd.errors import DeniedError, RejectedError
from syncd.local.look import exists
from syncd.model import OnDelete
from syncd.remotes.base import Annotates, Dataset

if TYPE_CHECKING:
    from syncd.engine.mirror import Mirror, Subject

MOST_OPERATION = 255


def operation(name: str) -> str:
    """What annotations from a mirror of this name count as, where they name no operation."""
    plain = "".join(char if char.isprintable() else "_" for char in name)
    return f"folder:{plain}"[:MOST_OPERATION]


def clerk(subject: Subject, dataset: Dataset) -> Callable[[Errand], Answers]:
    """What workers do with errands; where the dataset has no annotations, none is given out."""
    if isinstance(dataset, Annotates):
        return Clerk(subject.root, dataset, operation(subject.name)).run
    return lambda errand: broken_off(errand, RejectedError("this remote keeps no annotations"))


def attach(mirror: Mirror, *, removes: bool) -> Sidecars:
    """The sidecars of a mirror whose other parts are there."""
    keeps = mirror.subject.policy.on_delete is OnDelete.KEEP

    def denied(error: DeniedError) -> None:
        mirror.settlement.denied = error

    ways = Ways(
        give=mirror.dispatcher.pool.give,
        reached=mirror.dispatcher.reached,
        missed=mirror.dispatcher.missed,
        denied=denied,
        unsettled=mirror.lookout.wait,
        settled=mirror.lookout.calm,
        vanished=lambda path: mirror.observer.note_sidecar(path, None),
        exists=lambda path: bool(mirror.guard.check()) or exists(mirror.subject.root, path),
    )
    able = isinstance(mirror.dataset, Annotates)
    return Sidecars(mirror.state, mirror.clock, ways, able=able, removes=removes, keeps=keeps)
