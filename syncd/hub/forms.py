"""The JSON the hub speaks: how rows become answers, and the models the OpenAPI document shows.

Answers are built as plain dicts, because a page of a thousand items through a model costs ten
times that; a test holds that they are what the models say.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from syncd.hub.ops import Result
from syncd.hub.schema import ItemRow


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Health(_Model):
    ok: bool
    hub: str
    generation: str
    version: str


class Dataset(_Model):
    id: str
    name: str
    items: int
    bytes: int
    created_ns: int


class Datasets(_Model):
    datasets: list[Dataset]


class Item(_Model):
    id: str
    dataset: str = Field(description="the dataset's id")
    folder: str
    name: str
    size: int
    sha256: str
    content_type: str
    modified: str = Field(description="ISO 8601 in UTC")
    modified_ns: int
    stored_ns: int
    version: int
    state: str = Field(description="present, trashed or purged")
    by: str = Field(description="the source that last changed it")
    metadata: dict[str, Any]
    annotated: int = Field(description="how often its annotations were changed")


class Items(_Model):
    items: list[Item]
    next: str | None


class Folder(_Model):
    folder: str
    items: int
    bytes: int


class Folders(_Model):
    folders: list[Folder]


class Changes(_Model):
    items: list[Item]
    cursor: int
    more: bool
    generation: str


class Proof(_Model):
    id: str
    version: int
    sha256: str = Field(description="as computed from the bytes that were stored")


class Outcome(_Model):
    status: str = Field(description="stored, same, conflict, missing, mismatch or refused")
    item: Item | Proof | None = None
    reason: str | None = None


class Outcomes(_Model):
    results: list[Outcome]


class Digests(_Model):
    digests: list[str]


class Missing(_Model):
    missing: list[str]


class Announcement(_Model):
    digest: str
    size: int = Field(ge=0, lt=2**63)


class Upload(_Model):
    id: str
    offset: int
    done: bool


class Part(_Model):
    offset: int
    done: bool


class Misplaced(_Model):
    error: str
    offset: int = Field(description="where the upload goes on")


class Ids(_Model):
    ids: list[str] = Field(max_length=10_000)


class Purged(_Model):
    purged: int
    bytes: int


class Link(_Model):
    path: str


class Source(_Model):
    source: str = Field(description="the backup's folder, as the hub sees it")


class Restored(_Model):
    generation: str
    kept: str = Field(description="where the store that was replaced lies now")


class Error(_Model):
    error: str


def item(row: ItemRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "dataset": row.dataset,
        "folder": "/" + row.folder,
        "name": row.name,
        "size": row.size,
        "sha256": row.digest.hex(),
        "content_type": row.content_type,
        "modified": _iso(row.modified_ns),
        "modified_ns": row.modified_ns,
        "stored_ns": row.stored_ns,
        "version": row.version,
        "state": row.state,
        "by": row.by,
        "metadata": {} if row.metadata == "{}" else json.loads(row.metadata),
        "annotated": row.annotated,
    }


def outcome(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": result.status}
    if result.item is not None:
        answer["item"] = item(result.item)
    if result.reason is not None:
        answer["reason"] = result.reason
    return answer


def brief(result: Result) -> dict[str, Any]:
    """The same, but of what is stored only the proof: an item in full costs ten times that."""
    row = result.item
    if row is None or result.status not in ("stored", "same"):
        return outcome(result)
    proof = {"id": row.id, "version": row.version, "sha256": row.digest.hex()}
    return {"status": result.status, "item": proof}


def _iso(ns: int) -> str:
    """The time as text; what no calendar can name becomes the nearest end of it."""
    try:
        moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        moment = (datetime.max if ns > 0 else datetime.min).replace(microsecond=0, tzinfo=UTC)
    return f"{moment.replace(tzinfo=None).isoformat()}.{ns // 1000 % 1_000_000:06}Z"
