"""What workers do for sidecars: read them, ask what the remote has, set what differs.

As the jobs of files, these are immutable and always answered: what goes wrong with one sidecar is
in its answer, an error of the remote is in all of them. No state, no decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from itertools import islice
from pathlib import Path

from syncd.annotation.model import AnnotationSet
from syncd.annotation.sidecar import parse
from syncd.engine.job import Job, Result
from syncd.errors import FormatError, SyncdError
from syncd.local.read import read
from syncd.model import Item, Stat
from syncd.plan.sidecar import Kind
from syncd.remotes.base import Annotates
from syncd.value import value

MOST_BYTES = 8 * 1024 * 1024
"""A sidecar that is larger is not read."""

Sets = Mapping[str, AnnotationSet]
Favour = Callable[[], None]
"""What else takes long; it posts by itself what came of it, and never raises."""


@value
class Page:
    """A sidecar to read; with its picture's item, what that has at the remote is wanted too."""

    path: str
    stat: Stat
    settled: bool
    item: Item | None


@value
class Reading:
    """What a page says (by operation, and with `shown` whether syncd wrote it), what its item
    has, or the error."""

    page: Page
    stat: Stat | None = None
    digest: str = ""
    kind: Kind = Kind.UNREAD
    reason: str | None = None
    shown: bool = False
    wanted: Sets = field(default_factory=dict)
    there: Sets = field(default_factory=dict)
    error: SyncdError | None = None


@value
class Parcel:
    """Sets to store for one sidecar, whose content has this digest; "" where it is gone."""

    path: str
    item_id: str
    digest: str
    sets: tuple[AnnotationSet, ...]


@value
class Delivery:
    parcel: Parcel
    error: SyncdError | None = None


@value
class Errand:
    """A job for sidecars: pages to read, parcels to deliver."""

    pages: tuple[Page, ...] = ()
    parcels: tuple[Parcel, ...] = ()


@value
class Answers:
    """What became of an errand, in its order."""

    readings: tuple[Reading, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


class Clerk:
    """Carries out errands for one mirror; shared by its worker threads."""

    def __init__(self, root: Path, dataset: Annotates, operation: str) -> None:
        """`operation` is what annotations count as that name none."""
        self._root = root
        self._dataset = dataset
        self._operation = operation

    def run(self, errand: Errand) -> Answers:
        """One answer for each page and parcel; never raises what concerns files or the remote."""
        read = [self._read(page) for page in errand.pages]
        return Answers(
            readings=tuple(self._compared(read)),
            deliveries=tuple(self._deliver(errand.parcels)),
        )

    def _read(self, page: Page) -> Reading:
        try:
            content = read(self._root, page.path, keep=MOST_BYTES, settled=page.settled)
        except SyncdError as error:
            return Reading(page=page, error=error)
        found = Reading(page=page, stat=content.stat, digest=content.digest)
        if content.data is None:
            reason = f"is no sidecar: larger than {MOST_BYTES >> 20} MiB"
            return replace(found, kind=Kind.BROKEN, reason=reason)
        try:
            says = parse(content.data, operation=self._operation)
        except FormatError as error:
            return replace(found, kind=Kind.BROKEN, reason=error.message)
        if says is None:
            return replace(found, kind=Kind.OTHER)
        item = page.item
        sets = says.on(item.id, item.digest or "") if item else ()
        wanted = {some.operation: some for some in sets if some.annotations}
        return replace(found, kind=Kind.SIDECAR, shown=bool(says.item_id), wanted=wanted)

    def _compared(self, read: Sequence[Reading]) -> list[Reading]:
        items = {
            found.page.item.id: found.page.item
            for found in read
            if found.page.item and found.kind is Kind.SIDECAR
        }
        try:
            there = self._dataset.annotations(list(items.values())) if items else ()
            has = {item.id: {some.operation: some for some in sets} for item, sets in there}
        except SyncdError as error:
            return [_unanswered(found, items, error) for found in read]
        return [
            replace(found, there=has.get(found.page.item.id, {})) if found.page.item else found
            for found in read
        ]

    def _deliver(self, parcels: Sequence[Parcel]) -> list[Delivery]:
        sets = [some for parcel in parcels for some in parcel.sets]
        try:
            outcomes = iter(self._dataset.annotate(sets) if sets else ())
        except SyncdError as error:
            return [Delivery(parcel=parcel, error=error) for parcel in parcels]
        deliveries = []
        for parcel in parcels:
            errors = [outcome.error for outcome in islice(outcomes, len(parcel.sets))]
            deliveries.append(Delivery(parcel=parcel, error=next(filter(None, errors), None)))
        return deliveries


def _unanswered(found: Reading, items: Mapping[str, Item], error: SyncdError) -> Reading:
    asked = found.page.item is not None and found.page.item.id in items
    return replace(found, error=error) if asked else found


def broken_off(errand: Errand, error: SyncdError) -> Answers:
    """The answers to an errand of which nothing came."""
    return Answers(
        readings=tuple(Reading(page=page, error=error) for page in errand.pages),
        deliveries=tuple(Delivery(parcel=parcel, error=error) for parcel in errand.parcels),
    )


def either(
    job: Callable[[Job], list[Result]], errand: Callable[[Errand], Answers]
) -> Callable[[Job | Errand | Favour], list[Result] | Answers | None]:
    """One function for workers that do all of these; a favour has no answer."""

    def work(task: Job | Errand | Favour) -> list[Result] | Answers | None:
        if isinstance(task, Job):
            return job(task)
        if isinstance(task, Errand):
            return errand(task)
        task()
        return None

    return work
