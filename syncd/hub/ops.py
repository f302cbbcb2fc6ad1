"""The operations of a framed batch, checked and digested. No lock is held for it, and it may
overlap another batch's commit."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

from syncd import frame
from syncd.hub import keys
from syncd.hub.schema import ItemRow

MAX_OPS = 10_000
INT64 = 2**63


class Put(NamedTuple):
    folder: str
    name: str
    digest: bytes
    size: int
    body: memoryview | None
    expect: int | None
    modified_ns: int
    id: str | None


class Move(NamedTuple):
    id: str
    expect: int | None
    folder: str
    name: str


class Remove(NamedTuple):
    id: str
    expect: int | None
    state: str


class Restore(NamedTuple):
    id: str


class Result(NamedTuple):
    """What became of one op: the word of the protocol, and what is there now."""

    status: str
    item: ItemRow | None = None
    reason: str | None = None


Op = Put | Move | Remove | Restore | Result
"""A Result among the ops is one that was settled while reading: refused, or a wrong digest."""


def read(data: bytes | bytearray) -> list[Op]:
    """Check and digest a framed body; raises FrameError where it is not one at all."""
    ops = [_op(op, body) for op, body in frame.unpack(data)]
    if len(ops) > MAX_OPS:
        raise frame.FrameError(f"a batch holds at most {MAX_OPS} operations")
    return ops


def _op(op: dict[str, Any], body: memoryview | None) -> Op:
    try:
        if op.get("op") == "put":
            return _put(op, body)
        if body is not None:
            raise keys.BadNameError("only a put has a body")
        return _other(op)
    except keys.BadNameError as error:
        return Result("refused", None, str(error))


def _put(op: dict[str, Any], body: memoryview | None) -> Op:
    folder, name = keys.split(op.get("key"))
    digest = keys.digest(op.get("digest"))
    size = _whole(op, "size", 0)
    if body is not None and (len(body) != size or sha256(body).digest() != digest):
        return Result("mismatch", None, "the body is not what the digest and size announce")
    modified = _whole(op, "modified", -INT64)
    id = op.get("id")
    if id is not None and type(id) is not str:
        raise keys.BadNameError("an item's id is text")
    return Put(folder, name, digest, size, body, _expect(op), modified, id)


def _other(op: dict[str, Any]) -> Op:
    verb, id = op.get("op"), op.get("id")
    if type(id) is not str or not id.isascii():
        raise keys.BadNameError("an operation on an item names it by id")
    if verb == "move":
        return Move(id, _expect(op), *keys.split(op.get("key")))
    if verb in ("trash", "delete"):
        return Remove(id, _expect(op), "trashed" if verb == "trash" else "purged")
    raise keys.BadNameError("an operation is one of put, move, trash, delete")


def _whole(op: dict[str, Any], name: str, least: int) -> int:
    value = op.get(name)
    if type(value) is not int or not least <= value < INT64:
        raise keys.BadNameError(f"{name} must be a whole number")
    return value


def _expect(op: dict[str, Any]) -> int | None:
    return None if op.get("expect") is None else _whole(op, "expect", 0)
