"""A hub that answers badly once to each kind of request: nothing is lost, doubled or made up.

Real `syncd push` and `syncd watch` against a real hub, with a proxy of our own in between.
"""

from __future__ import annotations

import pytest

from tests import proxy
from tests.e2e.fault_points import hold_to_receipts, labels
from tests.e2e.program import Program, eventually
from tests.e2e.test_watch import picture
from tests.engine.annotated import sidecar

KINDS = {"PATCH uploads", "POST batch", "POST annotations"}
"""The requests by which a hub comes to hold anything."""
FAULTS = {
    "429 with Retry-After": proxy.says(429, Retry_After="1"),
    "500": proxy.says(500),
    "503": proxy.says(503, Retry_After="1"),
    "garbage": proxy.says(200, b"<html>welcome to the hotel</html>"),
    "other JSON": proxy.says(200, b'{"results": []}'),
    "cut before the commit": proxy.cut_before,
    "cut after the commit": proxy.cut_after,
    "half of the answer": proxy.torn,
    "frozen": proxy.frozen,
}


@pytest.fixture(params=list(FAULTS.values()), ids=list(FAULTS))
def spoiled(request, hub, home):
    """The program, with a hub whose first answer of each kind is this."""
    with proxy.before(hub.url, request.param, KINDS) as between:
        program = Program(home, {"SYNCD_REMOTE": between.url, "SYNCD_TOKEN": hub.token})
        yield program, between
        program.end()


@pytest.fixture
def pictures(root):
    """Some of every way to send: small ones, one that is asked for first, one in parts."""
    sizes = {f"{number:02}.jpg": 3000 for number in range(30)}
    sizes |= {"asked.jpg": 200_000, "parts.mp4": 9 << 20}
    made = {name: picture(f"{root}{name}", size) for name, size in sizes.items()}
    for name, content in made.items():
        (root / name).write_bytes(content)
    for name in ("00.jpg", "01.jpg"):
        (root / f"{name}.json").write_bytes(sidecar(f"label of {name}"))
    return made


def test_a_push_is_told_the_truth(spoiled, root, shelf, name, pictures):
    program, between = spoiled
    for _ in range(6):
        done = program.ends("push", root, "--to", name, "--json")
        hold_to_receipts(shelf)
        assert done.code in (0, 1, 5), done
        assert not done.out or done.json["success"] == (done.code == 0)
        if done.code == 0:
            break
    else:
        pytest.fail(f"never done: {done}")
    assert between.spoiled == KINDS
    once(shelf, pictures)
    assert program("push", root, "--to", name, "--json").json["uploaded"] == 0
    assert program("verify", name, "--against", root, "--json").json["wrong"] == []


def test_a_watch_gets_there_by_itself(spoiled, root, shelf, name, pictures):
    program, between = spoiled
    watching = program.watch(root, "--to", name)
    shelf.becomes(pictures)
    eventually(lambda: len(labels(shelf)) == 2)
    hold_to_receipts(shelf)
    (root / "30.jpg").write_bytes(picture("30"))
    once(shelf, pictures | {"30.jpg": picture("30")})
    watching.stop()
    hold_to_receipts(shelf)
    assert between.spoiled == KINDS


def once(shelf, pictures):
    """Every file is there, was stored once and no more, and has what its sidecar says."""
    items = shelf.becomes(pictures)
    assert {item.version for item in items.values()} == {1}
    assert labels(shelf) == {name: f"label of {name}" for name in ("00.jpg", "01.jpg")}
    assert shelf.trashed() == set()
