"""The speed of a mirror: kept over many requests and threads, and given up at once when held."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter

import pytest

from syncd.engine.opening import Target, opened
from syncd.engine.options import Options
from syncd.engine.session import bind, push
from syncd.errors import TransientError
from syncd.remotes.base import Paced, Upload
from syncd.remotes.hub import HubRemote
from syncd.remotes.memory import MemoryDataset, MemoryRemote
from syncd.remotes.pace import BURST_S, Pace

STUCK_S = 20.0
"""What was not over by then waited for what it should not."""


def test_without_a_limit_nothing_waits():
    pace = Pace()
    began = time.monotonic()
    for _ in range(100):
        pace.take(1 << 30)
    assert pace.free
    assert time.monotonic() - began < STUCK_S


def test_several_threads_share_one_rate():
    pace = Pace()
    pace.limit(1e6)
    began = time.monotonic()
    threads = [threading.Thread(target=lambda: list(pace.pieces([bytes(250_000)]))) for _ in "123"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.75 - BURST_S - 0.05 <= time.monotonic() - began < STUCK_S


def test_a_body_goes_whole_and_in_order():
    pace, body = Pace(), os.urandom(300_001)
    pace.limit(1e9)
    assert b"".join(pace.pieces([body[:70_000], body[70_000:]])) == body
    assert pace.passed == 300_001
    pace.limit(None)
    assert list(pace.pieces([body, body])) == [body, body]
    assert pace.passed == 3 * 300_001
    pace.limit(1e9)
    assert pace.part(8 << 20) == 8 << 20
    pace.limit(1e5)
    assert pace.part(8 << 20) == 400_000


def test_what_goes_slowly_goes_all_the_time(monkeypatch):
    """A hub hangs up on a body that stands still for half a minute."""
    pace, body = Pace(), os.urandom(10_000)
    monkeypatch.setattr(pace, "take", lambda size: None)
    pace.limit(1000.0)
    assert list(pace.pieces([body])) == [body[at : at + 1000] for at in range(0, 10_000, 1000)]
    pace.limit(0.5)
    assert list(pace.pieces([body[:2]])) == [body[:1], body[1:2]]


def test_who_waits_is_told_at_once_when_it_is_held():
    pace = Pace()
    pace.limit(10.0)
    threading.Timer(0.1, pace.hold, ("paused",)).start()
    began = time.monotonic()
    with pytest.raises(TransientError, match="paused"):
        pace.take(10_000)
    assert time.monotonic() - began < STUCK_S
    with pytest.raises(TransientError):
        pace.take(1)
    pace.release()
    pace.limit(None)
    pace.take(1)


@pytest.mark.parametrize("large", [False, True], ids=["in a batch", "in parts"])
def test_a_real_hub_gets_no_more_than_the_rate(hub, tmp_path, request, large):
    content = os.urandom(600_000)
    file = tmp_path / "a.jpg"
    file.write_bytes(content)
    remote = HubRemote(hub.url, hub.token)
    try:
        dataset = remote.open(f"pace {request.node.name}", create=True)
        assert isinstance(dataset, Paced)
        dataset.pace.limit(1e6)
        began = time.monotonic()
        [outcome] = dataset.put([
            Upload(
                key="a.jpg", digest=hashlib.sha256(content).hexdigest(), size=len(content),
                file=file, content=None if large else content, modified_ns=1, expect=None,
            )
        ])  # fmt: skip
        assert time.monotonic() - began >= 0.6 - BURST_S - 0.05
        assert outcome.error is None
        assert outcome.item is not None
        assert b"".join(dataset.read(outcome.item)) == content
        dataset.pace.hold("paused")
        with pytest.raises(TransientError, match="paused"):
            dataset.put([
                Upload(
                    key="b.jpg", digest="0" * 64, size=3, file=file, content=b"abc",
                    modified_ns=1, expect=None,
                )
            ])  # fmt: skip
    finally:
        remote.close()


class Slow(MemoryDataset):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pace = Pace()


@pytest.mark.parametrize(("rate", "batches"), [(None, 1), (50_000, 5)])
def test_a_slow_mirror_sends_batches_that_take_seconds(tmp_path, rate, batches):
    for number in range(20):
        (tmp_path / f"{number}.jpg").write_bytes(os.urandom(49_000))
    asked: Counter[str] = Counter()
    remote = MemoryRemote(kind=Slow)
    remote.trouble = lambda request: asked.update([request.call])
    target = Target(root=tmp_path, remote="m", dataset="pets", options=Options(rate=rate))
    with opened(target, remote, tmp_path / "mirrors", removes=False) as mirror:
        bind(mirror)
        assert push(mirror).uploaded == 20
    assert asked["put"] == batches
