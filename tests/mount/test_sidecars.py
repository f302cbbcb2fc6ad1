"""Annotations beside their files: shown as they are made, right in size, and whole."""

from __future__ import annotations

import json
import os

from syncd.annotation.model import Annotation, AnnotationSet, Shape
from tests.cli.test_annotate import turned
from tests.mount.mounted import Signs, until, whole


def say(dataset: Signs, key: str, *labels: str, operation: str = "ann") -> None:
    """Somebody annotates an item; without labels the operation's annotations go."""
    item = dataset.items[key]
    boxes = tuple(
        Annotation(shape=Shape.RECTANGLE, coordinates=(1, 2, 3, 4), label=label) for label in labels
    )
    made = AnnotationSet(
        item_id=item.id, operation=operation, model=False, digest=item.digest or "",
        annotations=boxes,
    )  # fmt: skip
    (outcome,) = dataset.dataset.annotate([made])
    assert outcome.error is None, outcome


def labels(path):
    said = json.loads(whole(path))
    assert path.stat().st_size == len(whole(path))
    return [a["label"] for a in said["images"][0]["annotations"]]


def test_a_sidecar_comes_changes_and_goes(mount, dataset):
    dataset.put({"a/b.jpg": b"picture", "a/c.jpg": b"picture 2"})
    say(dataset, "a/b.jpg", "cat")
    mounted = mount()
    path = mounted / "a/b.jpg.json"
    assert sorted(os.listdir(mounted / "a")) == ["b.jpg", "b.jpg.json", "c.jpg"]
    assert labels(path) == ["cat"]
    block = json.loads(whole(path))["syncd"]
    assert (block["item"], block["digest"]) == (
        dataset.items["a/b.jpg"].id, dataset.items["a/b.jpg"].digest,
    )  # fmt: skip
    with path.open("rb") as held:
        before = whole(path)
        number, when = path.stat().st_ino, path.stat().st_mtime_ns
        say(dataset, "a/b.jpg", "dog")  # of the same size
        until(lambda: labels(path) == ["dog"])
        assert path.stat().st_ino != number
        assert path.stat().st_mtime_ns > when
        assert whole(held.fileno()) == before
    say(dataset, "a/c.jpg", "bird", operation="model")
    until(lambda: (mounted / "a/c.jpg.json").exists())
    assert labels(mounted / "a/c.jpg.json") == ["bird"]
    say(dataset, "a/b.jpg")
    until(lambda: not path.exists())
    mounted.stop()


def test_the_orientation_is_shown_and_coordinates_are_left_alone(mount, dataset):
    dataset.put({f"{turn}.jpg": turned(turn) for turn in range(1, 9)} | {"0.jpg": b"no picture"})
    for key in dataset.items:
        say(dataset, key, "cat")
    mounted = mount()
    for turn in range(9):
        path = mounted / f"{turn}.jpg.json"
        said = json.loads(whole(path))
        told = {name: said["syncd"].get(name) for name in ("width", "height", "orientation")}
        known = {"width": 40, "height": 20, "orientation": turn}
        assert told == (known if turn else dict.fromkeys(known))
        assert said["images"][0]["annotations"][0]["bbox"] == [1, 2, 3, 4]
    before = whole(mounted / "6.jpg.json")
    dataset.put({"6.jpg": turned(3)})
    until(lambda: whole(mounted / "6.jpg.json") != before)
    said = json.loads(whole(mounted / "6.jpg.json"))
    assert (said["syncd"]["orientation"], "made_on_other_content" in said["syncd"]) == (3, True)
    mounted.stop()


def test_sizes_that_a_start_did_not_wait_for_are_told_later_as_a_change(mount, dataset):
    dataset.put({f"{turn}.jpg": turned(turn) for turn in range(1, 9)} | {"0.jpg": b"no picture"})
    for key in dataset.items:
        say(dataset, key, "cat")
    hasty = "import time; import syncd.mount.follow as at; at.SIZES_S = 0.0; at.SIZED = 4;"
    slowly = "tell = at.Follower._tell_sizes;"
    slowly += "at.Follower._tell_sizes = lambda self: (time.sleep(2.0), tell(self))"
    mounted = mount(before=f"{hasty}{slowly}")
    path = mounted / "6.jpg.json"
    with path.open("rb") as held:
        before = whole(path)
        assert labels(path) == ["cat"]
        assert "width" not in json.loads(before)["syncd"]
        number = path.stat().st_ino
        until(lambda: "width" in json.loads(whole(path))["syncd"])
        assert path.stat().st_ino != number
        assert labels(path) == ["cat"]
        assert whole(held.fileno()) == before
    for turn in range(1, 9):
        until(lambda: "width" in json.loads(whole(mounted / f"{turn}.jpg.json"))["syncd"])  # noqa: B023
    mounted.stop()
    again = mount(before=hasty)
    assert json.loads(whole(again / "6.jpg.json"))["syncd"]["orientation"] == 6
    say(dataset, "6.jpg", "dog")
    until(lambda: labels(again / "6.jpg.json") == ["dog"])
    assert json.loads(whole(again / "6.jpg.json"))["syncd"]["orientation"] == 6
    again.stop()


def test_an_item_of_that_name_is_shown_in_its_place(mount, dataset):
    dataset.put({"b.jpg": b"picture", "b.jpg.json": b"an item"})
    say(dataset, "b.jpg", "cat")
    mounted = mount()
    assert whole(mounted / "b.jpg.json") == b"an item"
    dataset.trash("b.jpg.json")
    until(lambda: whole(mounted / "b.jpg.json") != b"an item")
    assert labels(mounted / "b.jpg.json") == ["cat"]
    mounted.stop()
    assert "several things have this name" in mounted.log


def test_beside_all_files_or_none(mount, dataset):
    dataset.put({"b.jpg": b"picture", "c.jpg": b"picture 2"})
    say(dataset, "b.jpg", "cat")
    mounted = mount("--sidecars", "all")
    assert labels(mounted / "c.jpg.json") == []
    assert labels(mounted / "b.jpg.json") == ["cat"]
    mounted.stop()
    mounted = mount("--sidecars", "none")
    assert sorted(os.listdir(mounted.point)) == ["b.jpg", "c.jpg"]
    mounted.stop()
