"""Whatever bytes or JSON arrive as a batch, the answer is a result or one sentence."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd import frame
from syncd.frame import FrameError
from syncd.hub import ops
from tests.hub.asking import opened, packed, put

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["op", "key", "digest", "size", "body", "expect", "modified", "id", "state", "bytes"]
)
VALUES = JSON | st.sampled_from(["put", "move", "trash", "delete", "0" * 64, "a/b", 0, 3, 2**63])
STATUSES = {"stored", "same", "conflict", "missing", "mismatch", "refused"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("hub") / "data") as store:
        pets = store.make_dataset("pets")[0].id
        store.batch(pets, "me", packed([put("first", b"opens the pack")]))
        yield store, pets


def answered(store, data):
    hub, pets = store
    try:
        results = hub.batch(pets, "me", data)
    except FrameError:
        return
    assert {result.status for result in results} <= STATUSES


@given(data=st.binary(max_size=200))
def test_bytes_of_any_kind(store, data):
    answered(store, data)
    answered(store, frame.MAGIC + len(data).to_bytes(4, "big") + data)


@given(some=st.lists(st.dictionaries(FIELDS, VALUES, max_size=8), max_size=4), tail=st.binary())
@settings(max_examples=200)
def test_operations_of_any_kind(store, some, tail):
    manifest = json.dumps({"ops": some}).encode()
    answered(store, frame.MAGIC + len(manifest).to_bytes(4, "big") + manifest + tail)


@given(seed=st.integers(0, 2**32), hits=st.integers(1, 5))
@settings(max_examples=200)
def test_a_good_batch_with_flipped_bits(store, seed, hits):
    chance = random.Random(seed)
    data = bytearray(packed([put(f"{seed}/{n}", b"cat%d" % n) for n in range(3)]))
    for _ in range(hits):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    answered(store, bytes(data))


@pytest.mark.parametrize("text", ["NaN", "1e999", str(-(2**64)), "true", '"1"', "[1]", "1.0"])
@pytest.mark.parametrize("name", ["size", "modified", "expect"])
def test_a_number_that_is_none_is_refused(name, text):
    op = put("a", b"cat")
    del op["bytes"]
    op.pop(name, None)
    manifest = f'{{"ops": [{json.dumps(op)[:-1]}, "{name}": {text}}}]}}'.encode()
    data = frame.MAGIC + len(manifest).to_bytes(4, "big") + manifest + b"cat"
    (result,) = ops.read(data)
    assert isinstance(result, ops.Result)
    assert result.status == "refused"


def test_syncthing_cve_2021_21404_a_negative_length_is_no_crash(store):
    with pytest.raises(FrameError):
        store[0].batch(store[1], "me", packed([put("a", b"cat", body=-3)]))


def test_a_batch_has_a_limit():
    with pytest.raises(FrameError, match="at most"):
        ops.read(b"".join(frame.pack([{"op": "trash", "id": "a"}] * (ops.MAX_OPS + 1), [])))


def test_a_manifest_nested_without_end_is_a_sentence():
    manifest = b"[" * 1_000_000
    with pytest.raises(FrameError):
        ops.read(frame.MAGIC + len(manifest).to_bytes(4, "big") + manifest)
