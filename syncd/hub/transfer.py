"""The calls that carry content: big files in parts on the way in, items' bytes on the way out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response

from syncd.hub import bulk, content, forms, keys
from syncd.hub.answers import TheHub
from syncd.hub.core import Hub
from syncd.hub.uploads import CHUNK, Upload

router = APIRouter()
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.post("/v1/uploads", response_model=forms.Upload)
async def begin(hub: TheHub, body: forms.Announcement) -> Any:
    upload = hub.uploads.begin(keys.digest(body.digest), body.size)
    async with upload.turn:
        done = await _load(hub, upload)
        if not done and upload.offset == upload.size:
            await _finish(hub, upload)
            done = True
        if done:
            hub.uploads.forget(upload)
    return JSONResponse({"id": upload.id, "offset": upload.offset, "done": done})


@router.patch(
    "/v1/uploads/{id}",
    response_model=forms.Part,
    responses={409: {"model": forms.Misplaced}},
    openapi_extra={"requestBody": {"required": True, "content": _BYTES}},
)
async def part(request: Request, hub: TheHub, id: str, offset: Annotated[int, Query(ge=0)]) -> Any:
    upload = hub.uploads.find(id)
    async with upload.turn:
        done = await _load(hub, upload)
        if not done:
            if offset != upload.offset:
                sentence = f"this upload goes on at {upload.offset}"
                return JSONResponse({"error": sentence, "offset": upload.offset}, 409)
            await _receive(hub, upload, request)
            done = upload.offset == upload.size
            if done:
                await _finish(hub, upload)
        if done:
            hub.uploads.forget(upload)
    return JSONResponse({"offset": upload.offset, "done": done})


async def _load(hub: Hub, upload: Upload) -> bool:
    """Know how far it is; whether its bytes are held already."""
    done = await hub.write(hub.uploads.load, upload)
    if not (done or upload.loaded):
        await hub.digest(hub.uploads.digest_again, upload)
    return done


async def _receive(hub: Hub, upload: Upload, request: Request) -> None:
    """Write one stretch while the next arrives; what arrived before a cut connection counts."""
    chunks: list[bytes] = []
    size = 0
    left = room = upload.size - upload.offset
    writing: asyncio.Task[None] | None = None
    try:
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            room -= len(chunk)
            if room < 0:
                raise HTTPException(413, "the part goes beyond the announced size")
            if size >= CHUNK:
                if writing:
                    await writing
                writing = asyncio.create_task(hub.write(hub.uploads.write, upload, chunks))
                chunks, size = [], 0
    finally:
        if writing:
            await writing
        if chunks and room >= 0:
            await hub.write(hub.uploads.write, upload, chunks)
        hub.metrics.received(left - room)


async def _finish(hub: Hub, upload: Upload) -> None:
    try:
        await hub.write(hub.uploads.finish, upload)
    except BaseException:
        hub.uploads.forget(upload)
        raise


@router.get(
    "/v1/items/{id}/content",
    response_class=Response,
    responses={
        200: {"content": _BYTES},
        206: {"description": "the range asked for", "content": _BYTES},
        304: {"description": "it is what you have"},
        416: {"description": "there are no such bytes"},
    },
)
@router.head("/v1/items/{id}/content", include_in_schema=False)
async def serve(request: Request, hub: TheHub, id: str, digest: str | None = None) -> Any:
    """The item's bytes, or those of the version that had this digest, while it is kept."""
    row = await hub.read(bulk.version, hub.store, id, keys.digest(digest) if digest else None)
    return await content.serve(hub, row, request)
