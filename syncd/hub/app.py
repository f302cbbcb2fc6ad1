"""The hub's app: all routes together, and those about the hub itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from syncd import __version__
from syncd.hub import annotation_calls, auth, backup, bulk, calls, forms, page, transfer
from syncd.hub.answers import ERRORS, TheHub, explain
from syncd.hub.core import Hub
from syncd.hub.gate import Gate, Hosts

router = APIRouter()


def create(hub: Hub, hosts: Hosts) -> Gate:
    """The app of one hub, with the gate around it."""
    app = FastAPI(
        title="syncd hub",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        responses=ERRORS,
    )
    app.state.hub = hub
    app.state.cookie = f"syncd-{hosts.port}"  # cookies do not tell ports apart
    explain(app)
    for routes in (
        calls.router,
        bulk.router,
        transfer.router,
        page.router,
        annotation_calls.router,
        router,
    ):  # the busiest first
        app.include_router(routes)
    return Gate(
        app,
        auth=hub.auth,
        hosts=hosts,
        cookie=app.state.cookie,
        seen=hub.metrics.answered,
    )


@router.get("/health", response_model=forms.Health)
async def health(hub: TheHub) -> Any:
    return JSONResponse(
        {"ok": True, "hub": hub.id, "generation": hub.generation, "version": __version__}
    )


@router.post("/v1/link", response_model=forms.Link)
async def link(hub: TheHub) -> Any:
    return JSONResponse({"path": f"/enter?code={hub.auth.link()}"})


@router.get("/enter", response_class=RedirectResponse, status_code=303)
async def enter(request: Request, hub: TheHub, code: str) -> Any:
    value = hub.auth.enter(code)
    if value is None:  # used, or too old: the page says how to get another
        return page.shown(request, 403)
    answer = RedirectResponse("/", 303, {"cache-control": "no-store"})
    answer.set_cookie(
        request.app.state.cookie,
        value,
        max_age=auth.COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=hub.settings.tls_cert is not None,
    )
    return answer


@router.get("/metrics", response_class=Response)
async def metrics(hub: TheHub) -> Any:
    return Response(await hub.read(hub.metrics.text), media_type="text/plain; version=0.0.4")


@router.post("/v1/restore", response_model=forms.Restored)
async def restore(hub: TheHub, body: forms.Source) -> Any:
    """Put a backup in the place of everything this hub holds."""

    def call() -> Path:
        return backup.restore_open(hub.store, Path(body.source))

    kept = await hub.write(call)
    return JSONResponse({"generation": hub.generation, "kept": str(kept)})
