"""50,000 files at once, while the daemon cannot look: the queue of events overflows, no file is
missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.program import Shelf, digest, eventually
from tests.e2e.test_watch import picture

FILES = 50_000
FOLDERS = 50


def count(shelf: Shelf) -> int:
    with shelf.open() as dataset:
        return int(dataset.info.items)


def drop(root: Path) -> dict[str, str]:
    """Make the files; their digests by key."""
    expected = {}
    for number in range(FILES):
        folder = f"{number % FOLDERS:02}"
        if number < FOLDERS:
            (root / folder).mkdir()
        content = b"%d" % number
        with (root / folder / f"{number}.jpg").open("wb", buffering=0) as file:
            file.write(content)
        expected[f"{folder}/{number}.jpg"] = digest(content)
    return expected


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_overflowing_queue_loses_nothing(root, syncd, watched, shelf):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    assert limit < 2 * FILES, "the queue is too long to overflow: raise FILES"
    running = watched()
    (root / "before.jpg").write_bytes(picture("before"))
    shelf.becomes({"before.jpg": picture("before")})
    (root / "before.jpg").unlink()
    running.freeze()
    try:
        expected = drop(root)
    finally:
        running.thaw()
    eventually(lambda: count(shelf) == FILES, 300)
    eventually(lambda: shelf.digests() == expected)  # the first one may be the last to go
    mirror = syncd("status", "--json").json["mirrors"][0]
    eventually(lambda: syncd("status", "--json").json["mirrors"][0]["synced"] == FILES)
    assert (mirror["failed"], mirror["conflicts"], mirror["state"]) == ([], [], "watching")
