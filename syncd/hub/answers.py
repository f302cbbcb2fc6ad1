"""How routes reach the hub and what they are given, and how answers and errors look. All errors are
one sentence."""

from __future__ import annotations

import base64
import json
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from syncd.errors import BusyError, NotFoundError, SyncdError
from syncd.frame import FrameError
from syncd.hub import forms, keys
from syncd.hub.core import Hub
from syncd.hub.gate import MAX_BATCH
from syncd.hub.keys import BadNameError
from syncd.hub.schema import ItemRow
from syncd.hub.store import FullError, RestoredError
from syncd.hub.uploads import MismatchError

MAX_PAGE = 10_000
ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": forms.Error, "description": "what went wrong, as a sentence"}
}
_STATUS: dict[type[Exception], int] = {
    NotFoundError: 404,
    BadNameError: 400,
    FrameError: 400,
    BusyError: 409,
    MismatchError: 422,
    SyncdError: 422,
    RestoredError: 503,
    FullError: 507,
}


async def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(_hub)]
"""The hub that answers; a coroutine, because anything else would cost a thread each request."""


def announced(request: Request) -> int | None:
    """The length of the body, where it is told; the gate has limited it."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def seated(hub: Hub, request: Request) -> AbstractAsyncContextManager[None]:
    """Room for the body in memory, while it arrives and until it is done with."""
    length = announced(request)
    return hub.seats.taken(MAX_BATCH if length is None else length)


async def received(request: Request) -> bytearray:
    """The body, laid where its announced length has room: one that grows is copied again and
    again."""
    data, end = bytearray(announced(request) or 0), 0
    async for chunk in request.stream():
        data[end : end + len(chunk)] = chunk
        end += len(chunk)
    del data[end:]
    return data


def dump(answer: dict[str, Any]) -> bytes:
    """JSON as bytes; to be called off the event loop where the answer may be long."""
    return json.dumps(answer, separators=(",", ":")).encode()


def sent(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def to_cursor(row: ItemRow) -> str:
    """Where the next page begins, as an opaque word."""
    text = json.dumps([row.folder, row.name, row.id])
    return base64.urlsafe_b64encode(text.encode()).decode()


def from_cursor(text: str | None) -> tuple[str, str, str] | None:
    """Back from the word to (folder, name, id); BadNameError."""
    if text is None:
        return None
    try:
        folder, name, id = json.loads(base64.urlsafe_b64decode(text))
    except (ValueError, TypeError) as error:
        raise BadNameError("that is not a cursor of this hub") from error
    if not all(isinstance(part, str) for part in (folder, name, id)):
        raise BadNameError("that is not a cursor of this hub")
    for part in (folder, name):
        keys.encoded(part)
    return folder, name, id


def explain(app: FastAPI) -> None:
    """Make every error a sentence with a fitting status."""
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, _sentence(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _sentence(400))
    app.add_exception_handler(Exception, _broken)


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


def _sentence(status: int) -> Any:
    async def answer(_request: Request, error: Exception) -> Response:
        return _error(status, str(error))

    return answer


async def _invalid(_request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _error(400, f"{where}: {first['msg']}")


async def _http(_request: Request, error: Any) -> Response:
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _broken(_request: Request, _failure: Exception) -> Response:
    return _error(500, "the hub failed inside; its log says how")
