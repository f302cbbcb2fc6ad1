"""The framed batch: whatever was packed comes out again, and nothing else is taken for a batch."""

from __future__ import annotations

import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.frame import MAGIC, FrameError, arriving, pack, unpack

VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
OPS = st.lists(
    st.tuples(
        st.dictionaries(st.text(max_size=8).filter(lambda name: name != "body"), VALUES),
        st.none() | st.binary(max_size=64),
    ),
    max_size=8,
)


def packed(ops):
    announced = [op if body is None else {**op, "body": len(body)} for op, body in ops]
    return joined(announced, [body for _, body in ops if body is not None]), announced


def joined(ops, bodies):
    return b"".join(pack(ops, bodies))


def framed(manifest: bytes, rest: bytes = b"") -> bytes:
    return MAGIC + struct.pack(">I", len(manifest)) + manifest + rest


def read(data):
    return [(op, body if body is None else bytes(body)) for op, body in unpack(data)]


@given(OPS)
def test_what_is_packed_comes_out(ops):
    data, announced = packed(ops)
    bodies = [body for _, body in ops]
    assert read(data) == list(zip(announced, bodies, strict=True))
    assert read(bytearray(data)) == read(data)


@given(OPS, st.data())
def test_a_torn_batch_is_refused_before_its_first_op(ops, data):
    whole, _ = packed(ops)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FrameError):
        next(unpack(whole[:cut]), None)


@given(OPS, st.binary(min_size=1, max_size=16))
def test_bytes_beyond_the_bodies_are_refused(ops, more):
    whole, _ = packed(ops)
    with pytest.raises(FrameError, match="not as long"):
        next(unpack(whole + more), None)


@given(st.binary(max_size=64))
def test_noise_is_never_a_batch_nor_a_crash(noise):
    for data in (noise, MAGIC + noise, framed(noise)):
        with pytest.raises(FrameError):
            next(unpack(data), None)


@pytest.mark.parametrize("size", ["3", -1, 1.5, True, [3]])
def test_a_body_of_no_size_is_refused(size):
    with pytest.raises(FrameError, match="no size"):
        read(framed(json.dumps({"ops": [{"body": size}]}).encode(), b"abc"))


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b"{}", b'{"ops": {}}', b'{"ops": [1]}', b"\xff", b"[" * 100_000, b"null"],
    ids=["empty", "list", "no-ops", "ops-object", "op-number", "not-utf8", "nested", "null"],
)
def test_a_manifest_of_another_form_is_refused(manifest):
    with pytest.raises(FrameError):
        read(framed(manifest))


def test_another_version_is_named_as_such():
    other = MAGIC.replace(b"\x01", b"\x02")
    with pytest.raises(FrameError, match="another version"):
        read(other + framed(b'{"ops":[]}')[len(MAGIC) :])


def test_bodies_are_views_not_copies():
    data, _ = packed([({"key": "a"}, b"abc")])
    [(_, body)] = unpack(data)
    assert isinstance(body, memoryview)
    assert body.obj is data


def test_an_empty_body_is_a_body():
    data, _ = packed([({}, b""), ({}, None), ({}, b"x")])
    assert [body for _, body in read(data)] == [b"", None, b"x"]


class Tap:
    """Gives exactly what is asked for, as a reader of an answer does."""

    def __init__(self, data: bytes):
        self.file = io.BytesIO(data)

    def __call__(self, length: int) -> bytes:
        found = self.file.read(length)
        if len(found) != length:
            raise EOFError
        return found


@given(OPS)
def test_what_arrives_bit_by_bit_is_the_same(ops):
    data, announced = packed(ops)
    assert list(arriving(Tap(data))) == [
        (op, body) for op, (_, body) in zip(announced, ops, strict=True)
    ]


def test_what_arrives_torn_or_foreign_is_not_taken():
    data, _ = packed([({"n": 1}, b"body")])
    with pytest.raises(EOFError):
        list(arriving(Tap(data[:-1])))
    with pytest.raises(FrameError):
        list(arriving(Tap(b"something else entirely")))
    with pytest.raises(FrameError):
        list(arriving(Tap(framed(b"[]"))))
