"""The file beside a picture that holds its annotations: `a.jpg.json` for `a.jpg`.

The mount shows what `render` makes; a watched folder gives `parse` what it finds. What was
rendered parses to the very sets, so that an unchanged copy changes nothing. No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from syncd.annotation.document import IMAGES, Document, Entry, Fault, entry
from syncd.annotation.model import Annotation, AnnotationSet, Size
from syncd.annotation.read import MODEL, OPERATION, WrongError, fields, pointer, text
from syncd.annotation.read import operation as operation_id
from syncd.annotation.sets import digest, flag, listed
from syncd.annotation.write import compact, plain
from syncd.errors import FormatError
from syncd.model import Item
from syncd.value import value

SCHEMA = 1
OLDER = "made_on_other_content"
SHOWN = 3


@value
class Sidecar:
    """What a sidecar says. `item_id` and `digest` are of its `syncd` block, "" without one."""

    image: str
    sets: tuple[AnnotationSet, ...]
    item_id: str = ""
    digest: str = ""

    def on(self, item_id: str, digest: str) -> tuple[AnnotationSet, ...]:
        """The sets for this item; those that do not say what they were made on get `digest`."""
        return tuple(
            replace(some, item_id=item_id, digest=some.digest or digest) for some in self.sets
        )


def render(item: Item, sets: Sequence[AnnotationSet], size: Size | None = None) -> bytes:
    """The sidecar of an item whose picture has this size: the same bytes for the same arguments,
    one annotation a line."""
    ordered = sorted(sets, key=lambda some: some.operation)
    lines = [_line(some, one) for some in ordered for one in some.annotations]
    older = [
        {OPERATION: some.operation, "digest": some.digest}
        for some in ordered
        if some.annotations and some.digest != item.digest
    ]
    block: dict[str, Any] = {"schema": SCHEMA, "item": item.id}
    if size:
        block |= {"width": size.width, "height": size.height}
        block |= {"orientation": size.orientation} if size.orientation else {}
    if item.digest:
        block["digest"] = item.digest
    if older:
        block[OLDER] = older
    listed = "[\n{}\n]".format(",\n".join(lines)) if lines else "[]"
    head = f'{{"images":[{{"image":{compact(item.key)},"metadata":{compact(dict(item.metadata))},'
    return f'{head}"annotations":{listed}}}],\n"syncd":{compact(block)}}}\n'.encode()


def parse(data: bytes, *, operation: str) -> Sidecar | None:
    """Read a sidecar; None for JSON of any other kind. Annotations that name no operation count
    as `operation`'s, made by a person.

    Raises FormatError, with JSON pointers, for what is no JSON or not right throughout.
    """
    document = Document(data)
    if not _is_sidecar(document):
        return None
    if len(document) != 1:
        raise FormatError(f"{pointer(IMAGES)}: must be a list of one image")
    said = entry(document.raw(0), 0)
    if said.faults:
        raise _complaint(said.faults)
    try:
        block = _block(document.rest.get("syncd", {}))
        sets = _sets(said, block, operation)
    except WrongError as error:
        raise FormatError(f"{pointer(*error.way)}: {error.reason}") from None
    return Sidecar(image=said.image, sets=sets, item_id=block.item_id, digest=block.digest)


def _is_sidecar(document: Document) -> bool:
    """Other formats have `images` too, but none that say `image` and `annotations`."""
    if "syncd" in document.rest:
        return True
    raw = document.raw(0) if len(document) == 1 else None
    return isinstance(raw, dict) and {"image", "annotations"} <= raw.keys()


@value
class _Block:
    item_id: str
    digest: str
    older: dict[str, str]


def _block(raw: Any) -> _Block:
    """The `syncd` block; all of it may be left out."""
    given = fields(raw, "syncd")
    schema = given.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise WrongError(f"is {schema!r}, and this program knows {SCHEMA}", "syncd", "schema")
    older = {}
    for n, one in enumerate(listed(given.get(OLDER, []), "syncd", OLDER)):
        way = ("syncd", OLDER, n)
        said = fields(one, *way)
        id = operation_id(said.get(OPERATION), *way, OPERATION)
        older[id] = digest(said.get("digest"), *way, "digest")
    return _Block(
        item_id=text(given["item"], "syncd", "item") if "item" in given else "",
        digest=digest(given["digest"], "syncd", "digest") if "digest" in given else "",
        older=older,
    )


def _sets(said: Entry, block: _Block, default: str) -> tuple[AnnotationSet, ...]:
    """The annotations by operation, in the order of the operations' names."""
    by: dict[str, list[Annotation]] = {}
    models: dict[str, bool] = {}
    for n, (one, raw) in enumerate(zip(said.annotations, said.raw, strict=True)):
        way = (IMAGES, 0, "annotations", n)
        id = operation_id(raw[OPERATION], *way, OPERATION) if OPERATION in raw else default
        model = flag(raw.get(MODEL, False), *way, MODEL)
        if models.setdefault(id, model) != model:
            raise WrongError("differs from that of the same operation above", *way, MODEL)
        by.setdefault(id, []).append(one)
    return tuple(
        AnnotationSet(
            item_id=block.item_id, operation=id, model=models[id],
            digest=block.older.get(id, block.digest), annotations=tuple(by[id]),
        )
        for id in sorted(by)
    )  # fmt: skip


def _complaint(faults: Sequence[Fault]) -> FormatError:
    more = f" (and {len(faults) - SHOWN} more)" if len(faults) > SHOWN else ""
    return FormatError("; ".join(map(str, faults[:SHOWN])) + more)


def _line(some: AnnotationSet, one: Annotation) -> str:
    origin = {OPERATION: some.operation, MODEL: some.model}
    return compact(plain(one) | origin)
