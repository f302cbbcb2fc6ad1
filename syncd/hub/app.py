"""The routes: from a request to the store and back. docs/design.md, section 5, is the contract.

Every JSON call is declared with its models, so that /openapi.json is true; answers are built by
`forms` and sent as they are.
"""

from __future__ import annotations

import base64
import json
import math
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

import syncd
from syncd.errors import NotFoundError
from syncd.frame import CONTENT_TYPE, FrameError
from syncd.hub import auth, content, feed, forms, keys
from syncd.hub.catalogue import News
from syncd.hub.core import Hub
from syncd.hub.gate import cookie_name
from syncd.hub.keys import BadNameError
from syncd.hub.schema import ItemRow
from syncd.hub.store import FullError

MAX_WAIT = 55.0
MAX_PAGE = 10_000
ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": forms.Error, "description": "what went wrong, as a sentence"}
}


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(_hub)]


def create(hub: Hub, origins: frozenset[str]) -> FastAPI:
    """The app of one hub, without the gate around it."""
    app = FastAPI(
        title="syncd hub",
        version=syncd.__version__,
        docs_url=None,
        redoc_url=None,
        responses=ERRORS,
    )
    app.state.hub = hub
    app.state.cookie = cookie_name(origins)
    app.state.secure = any(origin.startswith("https:") for origin in origins)
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, _sentence(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(Exception, _broken)
    _add_service(app)
    _add_datasets(app)
    _add_content(app)
    return app


def _add_service(app: FastAPI) -> None:
    @app.get("/health", response_model=forms.Health)
    async def health(hub: TheHub) -> Any:
        return JSONResponse(
            {
                "ok": True,
                "hub": hub.id,
                "generation": hub.generation,
                "version": syncd.__version__,
            }
        )

    @app.post("/v1/link", response_model=forms.Link)
    async def link(hub: TheHub) -> Any:
        return JSONResponse({"path": f"/enter?code={hub.auth.link()}"})

    @app.get("/enter", response_class=RedirectResponse, status_code=303)
    async def enter(request: Request, hub: TheHub, code: str) -> Any:
        value = hub.auth.enter(code)
        if value is None:
            raise HTTPException(403, "this link was used or is older than a minute: ask for a new")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            request.app.state.cookie,
            value,
            max_age=auth.COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.app.state.secure,
        )
        return answer


def _add_datasets(app: FastAPI) -> None:
    @app.get("/v1/datasets", response_model=forms.Datasets)
    async def datasets(hub: TheHub) -> Any:
        rows = await hub.read(hub.store.catalogue.datasets)
        return JSONResponse({"datasets": [forms.dataset(row) for row in rows]})

    @app.put(
        "/v1/datasets/{name}",
        response_model=forms.Dataset,
        responses={201: {"model": forms.Dataset}},
    )
    async def make(hub: TheHub, name: str) -> Any:
        row, made = await hub.write(hub.store.catalogue.make_dataset, keys.dataset(name))
        return JSONResponse(forms.dataset(row), 201 if made else 200)

    @app.get("/v1/datasets/{name}", response_model=forms.Dataset)
    async def dataset(hub: TheHub, name: str) -> Any:
        row = await hub.read(hub.store.catalogue.dataset, name=name)
        return JSONResponse(forms.dataset(row))

    @app.get("/v1/datasets/{id}/items", response_model=forms.Items)
    async def items(
        hub: TheHub,
        id: str,
        *,
        folder: str = "",
        recursive: bool = True,
        after: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1000,
        state: Annotated[str, Query(pattern="^(present|trashed)$")] = "present",
    ) -> Any:
        def call() -> bytes:
            hub.store.catalogue.dataset(id=id)
            page = hub.store.catalogue.page(
                id,
                folder=keys.folder(folder),
                deep=recursive,
                trashed=state == "trashed",
                after=_from_cursor(after),
                limit=limit,
            )
            following = _to_cursor(page.rows[-1]) if page.more else None
            return _dump({"items": [forms.item(r) for r in page.rows], "next": following})

        return _json(await hub.read(call))

    @app.get("/v1/datasets/{id}/folders", response_model=forms.Folders)
    async def folders(hub: TheHub, id: str) -> Any:
        await hub.read(hub.store.catalogue.dataset, id=id)
        rows = await hub.read(hub.store.catalogue.folders, id)
        return JSONResponse(
            {"folders": [{"folder": "/" + f, "items": n, "bytes": b} for f, n, b in rows]}
        )

    @app.get("/v1/datasets/{id}/item", response_model=forms.Item)
    async def item_at(hub: TheHub, id: str, key: str) -> Any:
        row = await hub.read(hub.store.catalogue.item_at, id, *keys.split(key))
        return JSONResponse(forms.item(row))

    @app.get("/v1/datasets/{id}/changes", response_model=forms.Changes)
    async def changes(
        hub: TheHub,
        id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        wait: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0.0,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1000,
        without: Annotated[str | None, Query(alias="except")] = None,
    ) -> Any:
        await hub.read(hub.store.catalogue.dataset, id=id)
        news = await _news(hub, id, after, min(wait, MAX_WAIT), limit, without)
        return _json(
            _dump(
                {
                    "items": [forms.item(row) for row in news.rows],
                    "cursor": news.cursor,
                    "more": news.more,
                    "generation": hub.generation,
                }
            )
        )

    @app.post(
        "/v1/datasets/{id}/batch",
        response_model=forms.Outcomes,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def batch(request: Request, hub: TheHub, id: str, source: str = "") -> Any:
        data = bytearray()
        async for chunk in request.stream():
            data += chunk

        def call() -> bytes:
            results = hub.store.batch(id, source, data)
            return _dump({"results": [forms.outcome(result) for result in results]})

        return _json(await hub.write(call))

    @app.post("/v1/missing", response_model=forms.Missing)
    async def missing(hub: TheHub, body: forms.Digests) -> Any:
        digests = [keys.digest(text) for text in body.digests]
        found = await hub.read(hub.store.catalogue.missing, digests)
        return JSONResponse({"missing": [digest.hex() for digest in found]})


def _add_content(app: FastAPI) -> None:
    @app.api_route(
        "/v1/items/{id}/content",
        methods=["GET", "HEAD"],
        response_class=Response,
        responses={206: {"description": "a range"}, 304: {"description": "as you know it"}},
        operation_id="content",
    )
    async def serve(request: Request, hub: TheHub, id: str) -> Any:
        row = await hub.read(hub.store.catalogue.item, id)
        if row.state == "purged":
            raise NotFoundError("the item's content is gone for good")
        return await content.serve(hub, row, request)


async def _news(
    hub: Hub, id: str, after: int, wait: float, limit: int, without: str | None
) -> News:
    """Look, and where there is nothing wait for a commit and look again, until the time is up."""
    end = hub.clock.monotonic() + wait
    while True:
        rung = hub.bell.next()
        news = await hub.read(hub.store.catalogue.news, id, after, limit=limit, without=without)
        left = end - hub.clock.monotonic()
        if news.rows or left <= 0 or hub.bell.closed or not math.isfinite(left):
            return news
        if not await feed.wait(rung, left):
            return news
        after = max(after, news.cursor)


def _dump(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _to_cursor(row: ItemRow) -> str:
    text = json.dumps([row.folder, row.name, row.id])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _from_cursor(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    try:
        folder, name, id = json.loads(base64.urlsafe_b64decode(text))
        return str(folder), str(name), str(id)
    except (ValueError, TypeError) as error:
        raise BadNameError("that is not a cursor of this hub") from error


_STATUS: dict[type[Exception], int] = {
    NotFoundError: 404,
    BadNameError: 400,
    FrameError: 400,
    FullError: 507,
}


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


def _sentence(status: int) -> Any:
    async def answer(_request: Request, error: Exception) -> Response:
        return _error(status, str(error))

    return answer


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _error(400, f"{where}: {first['msg']}")


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _broken(_request: Request, _error_: Exception) -> Response:
    return _error(500, "the hub failed inside; its log says how")
