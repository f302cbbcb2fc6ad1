"""Many who wait at one hub, as the mirrors of one daemon and the datasets of one mount do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from syncd.remotes.hub import HubRemote
from tests.mount.mounted import signs

WAITING = 60
WAIT_S = 25.0
AT_ONCE_S = 10.0
"""Far more than an answer needs, and far less than who waits for one in vain."""


def test_who_waits_for_changes_keeps_nobody_else_waiting(hub, tmp_path):
    remote = HubRemote(hub.url, hub.token)
    begun = threading.Semaphore(0)

    def wait(number: int) -> int:
        dataset = remote.open("waited for", create=True)
        cursor = dataset.changes(1 << 62).cursor
        begun.release()
        return len(dataset.changes(cursor, wait=WAIT_S, mine=True).items)

    with ThreadPoolExecutor(WAITING) as threads:
        waiting = [threads.submit(wait, number) for number in range(WAITING)]
        for _ in range(WAITING):
            begun.acquire()
        time.sleep(0.5)
        asked = time.monotonic()
        assert any(info.name == "waited for" for info in remote.datasets())
        assert time.monotonic() - asked < AT_ONCE_S
        with signs(hub, "waited for", tmp_path) as dataset:
            dataset.put({"a.jpg": b"what all of them wait for"})
            # Not before: how long a disk takes to keep it is no question of this test.
            stored = time.monotonic()
        assert [one.result() for one in waiting] == [1] * WAITING
        assert time.monotonic() - stored < AT_ONCE_S
    remote.close()
