"""A hub restored from a backup under its mounts: what it holds now shows, and never a mix."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from syncd.hub.backup import backup
from tests.mount.mounted import content, signs, until, whole
from tests.running import RunningHub

SIZE = 50_000
SEEN_S = 10.0


def restore(hub: RunningHub, saved: Path) -> None:
    with httpx.Client(base_url=hub.url, headers=hub.headers) as http:
        assert http.post("/v1/restore", json={"source": str(saved)}).status_code == 200


def shows(top: Path, files: dict[str, bytes]) -> bool:
    try:
        found = {str(at.relative_to(top)): at for at in top.rglob("*") if at.is_file()}
        return {key: whole(at) for key, at in found.items()} == files
    except FileNotFoundError:  # it went while we looked
        return False


def test_what_the_backup_held_shows_again(start_hub, mounts, tmp_path):
    hub = start_hub()
    with signs(hub, "signs", tmp_path / "uploads") as dataset:
        before = {"a/b.jpg": content(1, SIZE), "c.jpg": content(2, SIZE)}
        dataset.put(before)
        backup(hub.data, tmp_path / "saved")
        after = {"a/b.jpg": content(3, SIZE), "d/e.jpg": content(4, SIZE)}
        dataset.put(after)
        dataset.trash("c.jpg")
        mounted = mounts(hub, "signs")
        assert shows(mounted.point, after)
        with (mounted / "a/b.jpg").open("rb") as held:
            assert held.read() == after["a/b.jpg"]
            restore(hub, tmp_path / "saved")
            until(lambda: shows(mounted.point, before), SEEN_S)
            assert whole(held.fileno()) == after["a/b.jpg"]
    mounted.stop()


@pytest.mark.parametrize("option", ["--all", "signs"])
def test_a_dataset_made_anew_takes_the_place_of_the_one_that_is_gone(
    start_hub, mounts, tmp_path, option
):
    hub = start_hub()
    backup(hub.data, tmp_path / "saved")
    with signs(hub, "signs", tmp_path / "uploads") as dataset:
        dataset.put({"a/b.jpg": content(1, SIZE), "c.jpg": content(2, SIZE)})
        mounted = mounts(hub, option)
        top = mounted / "signs" if option == "--all" else mounted.point
        held = (top / "a/b.jpg").open("rb")
        assert whole(held.fileno()) == content(1, SIZE)
        assert whole(top / "c.jpg") == content(2, SIZE)
        restore(hub, tmp_path / "saved")
    with held, signs(hub, "signs", tmp_path / "uploads") as dataset:
        for number in (3, 4):
            now = {"a/b.jpg": content(number, SIZE), "c.jpg": content(number + 2, SIZE)}
            dataset.put(now)
            until(lambda: shows(top, now), SEEN_S)  # noqa: B023 - called at once
            assert whole(held.fileno()) == content(1, SIZE)
    mounted.stop()
