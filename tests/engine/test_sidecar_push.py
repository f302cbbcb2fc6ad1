"""Sidecars in a push, what is no sidecar at all, and what they cost."""

from __future__ import annotations

import os

import pytest

from syncd.engine.sidecar_work import MOST_BYTES
from syncd.remotes.memory import Fault, PlainDataset
from tests.engine.annotated import OWN, calls, says, sidecar
from tests.engine.test_push import run


@pytest.mark.parametrize("other", [b'{"exif": {}}', b"[1, 2]", b'"text"', b"7", b"{}"])
def test_json_of_any_other_kind_is_not_a_sidecar(make_world, other):
    world = make_world(removes=False)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", other)
    report = run(world)
    assert (report.success, report.ignored) == (True, 1)
    assert "annotate" not in calls(world)


def test_a_remote_without_annotations_is_told_of_once(make_world):
    world = make_world(kind=PlainDataset, removes=False)
    for n in range(3):
        world.disk.write(f"{n}.jpg")
        world.disk.write(f"{n}.jpg.json", sidecar("cat"))
    report = run(world)
    assert (report.success, report.uploaded, report.ignored) == (True, 3, 3)
    assert world.mirror.state.meta.get("annotates") is False


def test_a_push_sets_and_takes_nothing_away(make_world):
    world = make_world(removes=False)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat"))
    report = run(world)
    assert (report.attempted, report.uploaded, report.ignored, report.success) == (1, 1, 0, True)
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}
    world.disk.delete("1.jpg.json")
    world.restart()
    run(world)
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}
    world.removes = True
    world.restart()
    world.finish()
    assert says(world) == {}


def test_a_push_of_named_files(make_world):
    world = make_world(removes=False)
    world.disk.deaf = 99
    for name in ("1.jpg", "2.jpg"):
        world.disk.write(name)
        world.disk.write(f"{name}.json", sidecar("cat"))
    report = run(world, ("1.jpg", "1.jpg.json"))
    assert (report.attempted, report.ignored, report.success) == (1, 0, True)
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_a_push_reports_what_it_could_not_set(make_world, allow_log):
    allow_log("failed path|remote away")
    world = make_world(removes=False)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat"))
    world.disk.write("2.jpg")
    world.disk.write("2.jpg.json", b"{")
    fault = {"annotate": Fault.REJECTED}
    world.remote.trouble = lambda request: fault.get(request.call)
    report = run(world)
    assert [failure.path for failure in report.failed] == ["1.jpg.json", "2.jpg.json"]
    assert (report.attempted, report.uploaded) == (4, 2)
    fault.clear()
    world.disk.write("2.jpg.json", sidecar("dog"))
    world.restart()
    assert run(world).success
    assert says(world) == {"1.jpg": {OWN: ["cat"]}, "2.jpg": {OWN: ["dog"]}}


def test_what_is_only_named_like_one(make_world, tmp_path):
    """A pipe, a folder, links: nothing of these is opened, and nothing hangs."""
    world = make_world(removes=False)
    outside = tmp_path / "outside.json"
    outside.write_bytes(sidecar("stolen"))
    for name in ("pipe", "folder", "out", "dangling", "inside"):
        world.disk.write(f"{name}.jpg")
    os.mkfifo(world.disk.at("pipe.jpg.json"))
    world.disk.at("folder.jpg.json").mkdir()
    world.disk.at("out.jpg.json").symlink_to(outside)
    world.disk.at("dangling.jpg.json").symlink_to("nothing")
    world.disk.write("notes/any.json", sidecar("linked"))
    world.disk.at("inside.jpg.json").symlink_to("notes/any.json")
    report = run(world)
    assert report.success
    assert says(world) == {"inside.jpg": {OWN: ["linked"]}}


def test_odd_names(world):
    names = [
        "a b.jpg",
        "new\nline.jpg",
        "\U0001f600.jpg",
        "x" * 246 + ".jpg",
        ".json.jpg.jpg",
        "A.JPG",
    ]
    for name in names:
        world.disk.write(name)
        world.disk.write(f"{name}.json", sidecar("cat"))
    world.finish()
    assert says(world) == {name: {OWN: ["cat"]} for name in names if name[0] != "."}


def test_too_large_to_be_one(world):
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat") + b" " * MOST_BYTES)
    world.settle()
    ((trouble),) = world.mirror.state.sidecars.troubles()
    assert "larger than 8 MiB" in trouble.reason


def test_where_json_files_are_taken_they_are_items(make_world):
    world = make_world(extensions=frozenset())
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat"))
    world.settle()
    assert set(world.stored()) == {"1.jpg", "1.jpg.json"}
    assert says(world) == {}


def test_a_tree_without_sidecars_pays_nothing(world):
    """Not one statement on their table, and no trigger on the files'."""
    said: list[str] = []
    world.mirror.state._sql.set_trace_callback(said.append)
    for n in range(20):
        world.disk.write(f"{n}.jpg")
    world.disk.write("notes.json", b"{}")
    world.finish()
    world.mirror.state._sql.set_trace_callback(None)
    assert said
    assert [line for line in said if "sidecar" in line] == []


def test_a_thousand_at_once_take_few_requests(world):
    for n in range(300):
        world.disk.write(f"{n}.jpg")
        world.disk.write(f"{n}.jpg.json", sidecar(f"cat {n}"))
    world.sweep()
    world.settle()
    assert len(says(world)) == 300
    asked = calls(world)
    assert asked.count("annotate") <= 12
    assert asked.count("annotations") <= 12
