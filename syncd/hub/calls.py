"""The calls about datasets and what is in them. docs/design.md, section 7, is the contract.

Every call is declared with its models, so that /openapi.json is true; answers are built by `forms`
and sent as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from syncd.frame import CONTENT_TYPE
from syncd.hub import feed, forms, keys, room, trash
from syncd.hub.answers import MAX_PAGE, TheHub, dump, from_cursor, received, seated, sent, to_cursor
from syncd.hub.catalogue import News
from syncd.hub.core import Hub

MAX_WAIT = 55.0
router = APIRouter()
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Source = Annotated[str, Query(max_length=255, description="who asks, as the feed tells it")]


@router.get("/v1/datasets", response_model=forms.Datasets)
async def datasets(hub: TheHub) -> Any:
    rows = await hub.read(hub.store.catalogue.datasets)
    return JSONResponse({"datasets": [row._asdict() for row in rows]})


@router.put(
    "/v1/datasets/{name}", response_model=forms.Dataset, responses={201: {"model": forms.Dataset}}
)
async def make_dataset(hub: TheHub, name: str) -> Any:
    row, made = await hub.write(hub.store.make_dataset, keys.dataset(name))
    return JSONResponse(row._asdict(), 201 if made else 200)


@router.get("/v1/datasets/{name}", response_model=forms.Dataset)
async def dataset(hub: TheHub, name: str) -> Any:
    row = await hub.read(hub.store.catalogue.dataset, name=keys.dataset(name))
    return JSONResponse(row._asdict())


@router.get("/v1/datasets/{id}/items", response_model=forms.Items)
async def items(
    hub: TheHub,
    id: str,
    *,
    folder: str = "",
    recursive: bool = True,
    after: str | None = None,
    limit: Limit = 1000,
    state: Annotated[str, Query(pattern="^(present|trashed)$")] = "present",
) -> Any:
    def call() -> bytes:
        catalogue = hub.store.catalogue
        catalogue.dataset(id=id)
        page = catalogue.page(
            id,
            folder=keys.folder(folder),
            deep=recursive,
            trashed=state == "trashed",
            after=from_cursor(after),
            limit=limit,
        )
        following = to_cursor(page.rows[-1]) if page.more else None
        return dump({"items": [forms.item(row) for row in page.rows], "next": following})

    return sent(await hub.read(call))


@router.get("/v1/datasets/{id}/folders", response_model=forms.Folders)
async def folders(hub: TheHub, id: str) -> Any:
    def call() -> bytes:
        hub.store.catalogue.dataset(id=id)
        rows = hub.store.catalogue.folders(id)
        return dump({"folders": [{"folder": "/" + f, "items": n, "bytes": b} for f, n, b in rows]})

    return sent(await hub.read(call))


@router.get("/v1/datasets/{id}/item", response_model=forms.Item)
async def item(hub: TheHub, id: str, key: str) -> Any:
    row = await hub.read(hub.store.catalogue.item_at, id, *keys.split(key))
    return JSONResponse(forms.item(row))


@router.get("/v1/datasets/{id}/changes", response_model=forms.Changes)
async def changes(
    request: Request,
    hub: TheHub,
    id: str,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    wait: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
    limit: Limit = 1000,
    without: Annotated[str | None, Query(alias="except")] = None,
) -> Any:
    await hub.read(hub.store.catalogue.dataset, id=id)
    look = partial(hub.store.catalogue.news, id, limit=limit, without=without)
    news = await _news(hub, look, after, min(wait, MAX_WAIT), request.is_disconnected)
    answer = {
        "items": [forms.item(row) for row in news.rows],
        "cursor": news.cursor,
        "more": news.more,
        "generation": hub.generation,
    }
    return sent(await hub.read(dump, answer))


async def _news(
    hub: Hub,
    look: Callable[[int], News],
    after: int,
    wait: float,
    gone: Callable[[], Awaitable[bool]],
) -> News:
    """Look, and where there is nothing wait for a commit and look again, until the time is up or
    whoever asked has gone: the watchers that were killed would cost every commit a look each."""
    end, generation = hub.clock.monotonic() + wait, hub.generation
    while True:
        rung = hub.bell.next()
        news = await hub.read(look, after)
        left = end - hub.clock.monotonic()
        if news.rows or left <= 0 or hub.bell.closed or hub.generation != generation:
            return news
        if not await feed.wait(rung, left) or await gone():
            return news
        after = news.cursor


@router.post(
    "/v1/datasets/{id}/batch",
    response_model=forms.Outcomes,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def batch(
    request: Request, hub: TheHub, id: str, source: Source = "", *, brief: bool = False
) -> Any:
    form, meant = forms.brief if brief else forms.outcome, hub.store.catalogue

    def call(data: bytearray) -> bytes:
        results = hub.store.batch(id, source, data, meant)
        hub.metrics.did(results)
        if any(result.item is not None and result.item.state == "purged" for result in results):
            hub.care.note()
        return dump({"results": [form(result) for result in results]})

    async with seated(hub, request):
        data = await received(request)
        hub.metrics.received(len(data))
        return sent(await hub.write(call, data))


@router.post("/v1/missing", response_model=forms.Missing)
async def missing(hub: TheHub, body: forms.Digests) -> Any:
    digests = [keys.digest(text) for text in body.digests]
    found = await hub.read(hub.store.missing, digests)
    return JSONResponse({"missing": [digest.hex() for digest in found]})


@router.post("/v1/datasets/{id}/restore", response_model=forms.Outcomes)
async def restore(hub: TheHub, id: str, body: forms.Ids, source: Source = "") -> Any:
    results = await hub.write(trash.restore, hub.store, id, source, body.ids, hub.store.catalogue)
    return JSONResponse({"results": [forms.outcome(result) for result in results]})


@router.post("/v1/datasets/{id}/trash/empty", response_model=forms.Purged)
async def empty_trash(hub: TheHub, id: str, source: Source = "") -> Any:
    meant = hub.store.catalogue

    def call() -> trash.Purged:
        gone = trash.empty(hub.store, id, source, meant=meant)
        room.reclaim(hub.store)
        return gone

    gone = await hub.write(call)
    return JSONResponse({"purged": gone.items, "bytes": gone.bytes})
