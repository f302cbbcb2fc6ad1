"""The hub's answers as values: items, outcomes, datasets. What does not fit is GarbledError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from syncd.errors import (
    ConflictError,
    GarbledError,
    MissingError,
    RejectedError,
    SyncdError,
    UnsettledError,
)
from syncd.model import Item, ItemState
from syncd.remotes.base import DatasetInfo, Outcome, Upload

_TROUBLES: dict[str, Callable[[str], SyncdError]] = {
    "conflict": ConflictError,
    "missing": MissingError,
    "mismatch": UnsettledError,
    "refused": RejectedError,
}
_STATES = {state.value: state for state in ItemState}


def results(answer: dict[str, Any], asked: int) -> list[Any]:
    """One result for each operation that was asked for."""
    found = listed(answer, "results")
    if len(found) != asked:
        raise GarbledError(f"the hub answered {len(found)} of {asked} operations")
    return found


def stored(upload: Upload, sent: int, result: Any) -> Outcome:
    """What became of an upload: of what is stored, the hub says no more than the proof."""
    try:
        status, proof = result["status"], result["item"]
        if status not in ("stored", "same"):
            return outcome(upload.key, result)
        there = Item(
            key=upload.key, id=proof["id"], version=proof["version"], digest=proof["sha256"],
            size=upload.size,
        )  # fmt: skip
    except (KeyError, TypeError):
        return outcome(upload.key, result)
    return Outcome(key=upload.key, item=there, sent=sent if status == "stored" else 0)


def outcome(key: str, result: Any) -> Outcome:
    """What became of any other operation."""
    if not isinstance(result, dict):
        raise GarbledError("a result in the hub's answer is no object")
    status = result.get("status")
    there = item(result["item"]) if isinstance(result.get("item"), dict) else None
    if status in ("stored", "same"):
        return Outcome(key=key, item=there)
    trouble = _TROUBLES.get(str(status))
    if trouble is None:
        raise GarbledError(f"the hub answered a status we do not know: {status!r}")
    reason = str(result.get("reason") or status)
    return Outcome(key=key, item=there, error=trouble(reason))


def dataset(found: dict[str, Any]) -> DatasetInfo:
    try:
        return DatasetInfo(
            id=str(found["id"]), name=str(found["name"]),
            items=int(found.get("items", 0)), bytes=int(found.get("bytes", 0)),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise GarbledError("the hub described a dataset in a way we do not know") from error


def item(found: dict[str, Any]) -> Item:
    try:
        folder = found["folder"].strip("/")
        return Item(
            key=f"{folder}/{found['name']}" if folder else found["name"],
            id=found["id"],
            version=found["version"],
            digest=found["sha256"],
            size=found["size"],
            state=_STATES[found["state"]],
            by=found.get("by") or "",
            modified_ns=found.get("modified_ns"),
            content_type=found.get("content_type"),
            metadata=found.get("metadata") or {},
            annotated=found.get("annotated") or 0,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GarbledError("the hub described an item in a way we do not know") from error


def listed(answer: dict[str, Any], name: str) -> list[Any]:
    value = answer.get(name)
    if not isinstance(value, list):
        raise GarbledError(f"the hub's answer holds no list {name!r}")
    return value


def whole(answer: dict[str, Any], name: str) -> int:
    value = answer.get(name)
    if type(value) is not int:
        raise GarbledError(f"the hub's answer holds no number {name!r}")
    return value
