"""The page and what only the page asks for: its files and the thumbnails.

`app.py` includes `router`. The page's files hold nothing secret; what is shown comes from the
same calls everybody uses. Names and contents are foreign: the policy below lets no inline script
or style run and no text become markup, whatever a name may hold.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from syncd.errors import NotFoundError
from syncd.hub.core import Hub
from syncd.hub.thumbnail import SIZES, Content, Thumbnails

_PAGES = Path(__file__).with_name("pages")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FOREVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"


router = APIRouter()


@cache
def _file(name: str) -> tuple[bytes, str] | None:
    """A page file's bytes and tag; only names that lie directly in the folder can be asked for."""
    path = _PAGES / name
    if path.parent != _PAGES or path.suffix not in _TYPES or not path.is_file():
        return None
    data = path.read_bytes()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _serve(request: Request, name: str, status: int = 200) -> Response:
    found = _file(name)
    if found is None:
        return JSONResponse({"error": "there is no such file"}, 404)
    data, tag = found
    headers = HEADERS | {"Cache-Control": _ASK_AGAIN, "ETag": tag}
    if status == 200 and request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, status, headers, _TYPES[Path(name).suffix])


def shown(request: Request, status: int) -> Response:
    """The page itself, which says the way in to whoever is not let in."""
    return _serve(request, "index.html", status)


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The one page there is; what it shows is in the address behind #.

    A stranger gets it with 401: it then says the way in. Whoever came by a link on another site
    sends no cookie with this request, but does with those the page makes.
    """
    auth = request.app.state.hub.auth
    known = auth.bearer(request.headers.get("Authorization", "").encode()) or auth.cookie(
        request.cookies.get(request.app.state.cookie, "")
    )
    return shown(request, 200 if known else 401)


@router.get("/static/{file}", include_in_schema=False)
async def static(request: Request, file: str) -> Response:
    """The page's script and style modules."""
    return _serve(request, file)


@router.get(
    "/v1/items/{id}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 304: {"description": "as you know it"}},
)
async def thumbnail(
    request: Request,
    id: str,
    size: Annotated[int, Query(ge=1, le=SIZES[-1], description="pixels of the longer side")] = 320,
    digest: Annotated[str, Query(description="of the item; lets the answer be kept")] = "",
) -> Response:
    """A small JPEG of the item's first frame, 404 where there is none to be had."""
    hub: Hub = request.app.state.hub
    item = await hub.read(hub.store.catalogue.item, id)
    if item.state == "purged":
        raise NotFoundError("the item's content is gone for good")
    headers = HEADERS | {
        "Cache-Control": _FOREVER if digest == item.digest.hex() else _ASK_AGAIN,
        "ETag": f'"{item.digest.hex()}-{size}"',
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)

    def content() -> Content:
        return Content(*hub.store.open(item.digest))

    made = _thumbnails(request.app.state, hub)
    data = await made.get(item.digest.hex(), size, content, request.is_disconnected)
    if data is None:
        raise NotFoundError("there is no thumbnail of this item")
    return Response(data, media_type="image/jpeg", headers=headers)


def _thumbnails(state: State, hub: Hub) -> Thumbnails:
    """Made when the first one is asked for: a hub without a page never has any."""
    if not hasattr(state, "thumbnails"):
        state.thumbnails = Thumbnails(hub.settings.data / "thumbnails")
    made: Thumbnails = state.thumbnails
    return made
