"""The calls about annotations. docs/design.md, section 7, is the contract."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from syncd.hub import annotating, forms
from syncd.hub.answers import TheHub, dump, received, seated, sent
from syncd.hub.calls import Source
from syncd.hub.sizes import Extent

router = APIRouter()


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KeptSet(_Model):
    operation: str
    model: bool
    digest: str = Field(description="of the bytes it was made on")
    annotations: list[dict[str, Any]]


class Annotated(_Model):
    item: forms.Item
    sets: list[KeptSet]


class AllAnnotated(_Model):
    items: list[Annotated]
    done: int = Field(description="how many of the ids this answers: ask again for the rest")


class Sized(_Model):
    item: forms.Item
    width: int | None = None
    height: int | None = None
    orientation: int | None = Field(None, description="EXIF's, where the file records one: 1 to 8")


class AllSized(_Model):
    items: list[Sized]
    done: int = Field(description="how many of the ids this answers: ask again for the rest")


@router.post("/v1/datasets/{id}/annotations", response_model=forms.Outcomes)
async def annotate(request: Request, hub: TheHub, id: str, source: Source = "") -> Any:
    """Put sets of annotations in the place of those of the same item and operation."""

    meant = hub.store.catalogue

    def call(data: bytearray) -> bytes:
        results = annotating.annotate(hub.store, id, source, annotating.taken(data), meant)
        hub.metrics.did(results)
        return dump({"results": [forms.outcome(result) for result in results]})

    async with seated(hub, request):
        return sent(await hub.write(call, await received(request)))


@router.post("/v1/datasets/{id}/annotations/read", response_model=AllAnnotated)
async def read(hub: TheHub, id: str, body: forms.Ids) -> Any:
    """Items with all their sets, as many as one answer holds."""

    def call() -> bytes:
        told, done = annotating.told(hub.store, id, body.ids)
        items = ",".join(_told(one) for one in told)
        return f'{{"items":[{items}],"done":{done}}}'.encode()

    return sent(await hub.read(call))


def _told(one: annotating.Told) -> str:
    sets = ",".join(map(annotating.shown, one.sets))
    return f'{{"item":{dump(forms.item(one.item)).decode()},"sets":[{sets}]}}'


@router.post("/v1/datasets/{id}/sizes", response_model=AllSized)
async def sizes(hub: TheHub, id: str, body: forms.Ids) -> Any:
    """The sizes of pictures as stored, in pixels; as many as are found out in some seconds."""
    try:
        found, done = await asyncio.to_thread(hub.sizes.of, id, body.ids)
    except asyncio.CancelledError:
        hub.sizes.stop()
        raise
    items = [{"item": forms.item(row)} | _extent(size) for row, size in found]
    return sent(await hub.read(dump, {"items": items, "done": done}))


def _extent(size: Extent | None) -> dict[str, int]:
    told = size._asdict() if size else {}
    return {name: value for name, value in told.items() if value is not None}
