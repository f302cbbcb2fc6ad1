"""Many who wait at one hub, as the mirrors of one daemon and the datasets of one mount do."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from syncd.remotes.hub import HubRemote
from tests.mount.mounted import signs

WAITING = 60


def test_who_waits_for_changes_keeps_nobody_else_waiting(hub, tmp_path):
    remote = HubRemote(hub.url, hub.token)
    begun = threading.Semaphore(0)

    def wait(number: int) -> int:
        dataset = remote.open("waited for", create=True)
        cursor = dataset.changes(1 << 62).cursor
        begun.release()
        return len(dataset.changes(cursor, wait=20.0, mine=True).items)

    with ThreadPoolExecutor(WAITING) as threads:
        waiting = [threads.submit(wait, number) for number in range(WAITING)]
        for _ in range(WAITING):
            begun.acquire()
        time.sleep(0.5)
        asked = time.monotonic()
        assert any(info.name == "waited for" for info in remote.datasets())
        assert time.monotonic() - asked < 2.0
        with signs(hub, "waited for", tmp_path) as dataset:
            dataset.put({"a.jpg": b"what all of them wait for"})
        assert [one.result() for one in waiting] == [1] * WAITING
        assert time.monotonic() - asked < 5.0
    remote.close()
