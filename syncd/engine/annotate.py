"""A document of annotations into a dataset: each entry to the item it means, or to the faults.

Called by the client and `syncd annotate`. Nothing is changed before the whole document was found
to be JSON. An entry counts as a whole: where one of its annotations is wrong, the item keeps what
it had, and the other entries go on. Doing it again comes to the same end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol

from syncd.annotation.document import Document, Entry, Fault
from syncd.annotation.match import Match, UnmatchedError
from syncd.annotation.model import Annotation, AnnotationSet, Size
from syncd.annotation.read import MODEL, OPERATION, WrongError, pointer
from syncd.annotation.read import operation as checked_operation
from syncd.annotation.scale import to_pixels
from syncd.errors import FormatError, UsageError
from syncd.model import Item
from syncd.remotes.base import Annotates, Dataset
from syncd.value import value

BATCH = 1_000


class Annotated(Annotates, Dataset, Protocol):
    """A dataset that keeps annotations."""


@value
class Source:
    """Whose annotations a document holds, and how it speaks: `normalized` coordinates are parts of
    the picture's width and height, `folder` is where its images lie in the dataset."""

    operation: str
    model: bool
    normalized: bool = False
    folder: str = ""


@value
class AnnotationReport:
    """What became of a document: `images` and `annotations` are what is stored now, `changed` the
    items for which it was something new, `failed` all that was not taken."""

    dataset: str
    images: int = 0
    annotations: int = 0
    changed: int = 0
    failed: tuple[Fault, ...] = ()

    @property
    def success(self) -> bool:
        return not self.failed


def annotate(dataset: Dataset, data: bytes, source: Source) -> AnnotationReport:
    """Store what a document says; what concerns single images is in the report.

    Raises FormatError for what is no such document, UsageError for an operation that cannot be
    one, or a remote that keeps no annotations.
    """
    if not isinstance(dataset, Annotates):
        raise UsageError("this remote keeps no annotations")
    try:
        checked_operation(source.operation)
    except WrongError as error:
        raise UsageError(f"the operation {source.operation!r} {error.reason}") from error
    document = Document(data)
    if not document.listed:
        raise FormatError('has no list of "images"')
    folder = source.folder.strip("/")
    work = _Work(dataset, source, Match(document.images, dataset.items(folder), folder))
    entries = iter(document)
    while batch := list(islice(entries, BATCH)):
        work.do(batch)
    return AnnotationReport(
        dataset=dataset.info.name, images=work.images, annotations=work.annotations,
        changed=work.changed, failed=tuple(sorted(work.failed, key=_place)),
    )  # fmt: skip


@value
class _Meant:
    """An entry with the item it means."""

    entry: Entry
    item: Item


@dataclass(slots=True)
class _Work:
    dataset: Annotated
    source: Source
    match: Match
    images: int = 0
    annotations: int = 0
    changed: int = 0
    failed: list[Fault] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    """Where in the document each item was named first."""

    def do(self, entries: Sequence[Entry]) -> None:
        """Store a batch of entries; what cannot be is among the failed, in the order of both."""
        meant = list(self._meant(entries))
        if self.source.normalized:
            meant = list(self._in_pixels(meant))
        sets = [self._set(one) for one in meant]
        for one, outcome in zip(meant, self.dataset.annotate(sets), strict=True):
            if outcome.error:
                self._fail(one.entry, outcome.error.message)
                continue
            self.images += 1
            self.annotations += len(one.entry.annotations)
            self.changed += outcome.item is None or outcome.item.annotated != one.item.annotated

    def _meant(self, entries: Sequence[Entry]) -> Iterator[_Meant]:
        for entry in entries:
            faults = entry.faults or tuple(self._foreign(entry))
            self.failed += faults
            item = None if faults else self._item(entry)
            if item:
                if entry.metadata and entry.metadata != dict(item.metadata):
                    self._fail(entry, _NOT_KEPT, f"{entry.pointer}/metadata")
                yield _Meant(entry=entry, item=item)

    def _item(self, entry: Entry) -> Item | None:
        try:
            item = self.match.item(entry.image)
        except UnmatchedError as error:
            self._fail(entry, str(error))
            return None
        first = self.named.setdefault(item.id, entry.pointer)
        if first == entry.pointer and item.digest:
            return item
        again = f"is the item of {first} once more, and only that entry counts"
        self._fail(entry, again if item.digest else "the remote does not tell its digest")
        return None

    def _foreign(self, entry: Entry) -> Iterator[Fault]:
        """Annotations that say they are of another operation than the one they are stored as."""
        ours = {OPERATION: self.source.operation, MODEL: self.source.model}
        for n, raw in enumerate(entry.raw):
            for name, our in ours.items():
                if raw.get(name, our) != our:
                    at = f"{entry.pointer}/annotations/{n}/{name}"
                    reason = f"is {raw[name]!r}, and not {our!r} as was asked for"
                    yield Fault(pointer=at, image=entry.image, reason=reason)

    def _in_pixels(self, meant: list[_Meant]) -> Iterator[_Meant]:
        sizes = {i.id: (i, size) for i, size in self.dataset.sizes([one.item for one in meant])}
        for one in meant:
            item, size = sizes.get(one.item.id, (one.item, None))
            scaled = self._scaled(one.entry, size)
            if scaled is not None:
                fresh = replace(one.item, digest=item.digest)  # the size is of these bytes
                yield _Meant(entry=replace(one.entry, annotations=scaled), item=fresh)

    def _scaled(self, entry: Entry, size: Size | None) -> tuple[Annotation, ...] | None:
        if not entry.annotations:
            return ()
        try:
            if size is not None:
                return to_pixels(entry.annotations, size)
            self._fail(entry, _SIZELESS)
        except WrongError as error:
            self._fail(entry, error.reason, f"{entry.pointer}/annotations{pointer(*error.way)}")
        return None

    def _set(self, one: _Meant) -> AnnotationSet:
        return AnnotationSet(
            item_id=one.item.id, operation=self.source.operation, model=self.source.model,
            digest=one.item.digest or "", annotations=one.entry.annotations,
        )  # fmt: skip

    def _fail(self, entry: Entry, reason: str, at: str = "") -> None:
        self.failed.append(Fault(pointer=at or entry.pointer, image=entry.image, reason=reason))


_SIZELESS = "normalised coordinates cannot become pixels: the picture's size is not known"


_NOT_KEPT = "is not stored: only annotations are, and what they hold as metadata"


def _place(fault: Fault) -> int:
    """The number of the entry: /images/7/..."""
    return int(fault.pointer.split("/")[2])
