"""Sidecars in a watched folder: `a.jpg.json` sets the annotations of `a.jpg`, whatever the order,
and once."""

from __future__ import annotations

import json

import pytest

from syncd.model import OnDelete
from syncd.remotes.memory import Fault
from tests.engine.annotated import OWN, calls, items, rendered, says, sidecar


def test_before_its_picture_and_after_it(world):
    world.disk.write("1.jpg.json", sidecar("early"))
    world.disk.write("2.jpg")
    world.settle()
    assert says(world) == {}
    world.disk.write("1.jpg")
    world.disk.write("2.jpg.json", sidecar("late"))
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["early"]}, "2.jpg": {OWN: ["late"]}}
    assert set(world.stored()) == {"1.jpg", "2.jpg"}
    world.check()


def test_by_a_scan_alone(world):
    world.disk.deaf = 99
    world.disk.write("a/1.jpg")
    world.disk.write("a/1.jpg.json", sidecar("cat"))
    world.sweep()
    world.settle()
    assert says(world) == {"a/1.jpg": {OWN: ["cat"]}}
    world.disk.write("a/1.jpg.json", sidecar("dog"))
    world.sweep()
    world.settle()
    assert says(world) == {"a/1.jpg": {OWN: ["dog"]}}
    world.disk.at("a/1.jpg.json").unlink()
    world.sweep()
    world.settle()
    assert says(world) == {}


def test_it_may_name_operations_of_its_own(world):
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat", operation="project 7"))
    world.settle()
    assert says(world) == {"1.jpg": {"project 7": ["cat"]}}


def test_a_change_replaces_and_a_deletion_takes_away(annotated):
    annotated.disk.write("a/1.jpg.json", sidecar("dog", "bird"))
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {OWN: ["dog", "bird"]}}
    annotated.disk.write("a/1.jpg.json", sidecar("fish", operation="other"))
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {"other": ["fish"]}}
    annotated.disk.delete("a/1.jpg.json")
    annotated.settle()
    assert says(annotated) == {}
    assert set(annotated.stored()) == {"a/1.jpg"}


def test_what_others_brought_stays(annotated):
    item = items(annotated)["a/1.jpg"]
    dataset = annotated.remote.open("pets", create=False)
    ((_, (some,)),) = dataset.annotations([item])
    dataset.annotate([type(some)(
        item_id=item.id, operation="model 3", model=True, digest=item.digest,
        annotations=some.annotations,
    )])  # fmt: skip
    annotated.disk.delete("a/1.jpg.json")
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {"model 3": ["cat"]}}


def test_deleted_with_its_picture_nothing_is_taken_away(annotated):
    annotated.disk.delete("a")
    annotated.settle()
    assert annotated.stored() == {}
    assert "annotate" not in calls(annotated)
    assert not annotated.mirror.state.sidecars.on(next(iter(annotated.shelf.entries)))


def test_a_mirror_that_keeps_items_keeps_annotations(make_world):
    world = make_world(on_delete=OnDelete.KEEP)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat"))
    world.settle()
    world.disk.delete("1.jpg.json")
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_what_cannot_be_understood_is_reported_and_tried_when_it_changes(world):
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", b'{"images": [')
    world.settle()
    ((trouble),) = world.mirror.state.sidecars.troubles()
    assert trouble.path == "1.jpg.json"
    assert "JSON" in trouble.reason
    assert set(world.stored()) == {"1.jpg"}
    world.disk.write("1.jpg.json", sidecar("cat"))
    world.settle()
    assert world.mirror.state.sidecars.troubles() == []
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_broken_after_it_was_set_leaves_what_was_set(annotated):
    annotated.disk.write("a/1.jpg.json", b"{")
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}
    annotated.disk.delete("a/1.jpg.json")
    annotated.settle()
    assert says(annotated) == {}


def test_a_sidecar_that_becomes_other_json_is_as_good_as_deleted(annotated):
    annotated.disk.write("a/1.jpg.json", b'{"exif": {}}')
    annotated.settle()
    assert says(annotated) == {}
    annotated.disk.write("a/1.jpg.json", sidecar("cat"))
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}


def test_an_unchanged_copy_of_what_the_mount_showed_does_nothing(annotated):
    shown = rendered(annotated, "a/1.jpg")
    annotated.disk.delete("a/1.jpg.json")
    annotated.settle()
    annotated.disk.write("a/2.jpg")
    annotated.disk.write("a/2.jpg.json", sidecar("dog", operation="others"))
    annotated.settle()
    copied = rendered(annotated, "a/2.jpg")
    annotated.forget_state()
    annotated.crash()
    annotated.start()
    annotated.disk.write("a/2.jpg.json", copied)
    annotated.requests.clear()
    annotated.finish()
    assert "annotate" not in calls(annotated)
    annotated.disk.delete("a/2.jpg.json")
    annotated.finish()
    assert says(annotated) == {"a/2.jpg": {"others": ["dog"]}}  # it brought nothing
    annotated.disk.write("a/1.jpg.json", shown)
    annotated.finish()
    assert says(annotated)["a/1.jpg"] == {OWN: ["cat"]}


def test_a_changed_copy_brings_what_it_changed(annotated):
    shown = json.loads(rendered(annotated, "a/1.jpg"))
    annotated.disk.delete("a/1.jpg.json")
    annotated.settle()
    shown["images"][0]["annotations"][0]["label"] = "lion"
    annotated.disk.write("a/1.jpg.json", json.dumps(shown).encode())
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {OWN: ["lion"]}}


def test_nothing_changed_asks_nothing(annotated):
    annotated.disk.touch("a/1.jpg.json")
    annotated.settle()
    annotated.requests.clear()
    annotated.sweep()
    annotated.settle()
    assert calls(annotated) == []


def test_renamed_together_costs_nothing(annotated):
    annotated.disk.move("a/1.jpg", "b/2.jpg")
    annotated.disk.move("a/1.jpg.json", "b/2.jpg.json")
    annotated.settle()
    annotated.disk.move("b", "c")
    annotated.finish()
    assert says(annotated) == {"c/2.jpg": {OWN: ["cat"]}}
    assert not {"annotate", "annotations", "put"} & set(calls(annotated))


@pytest.mark.parametrize("order", [("a/1.jpg", "a/1.jpg.json"), ("a/1.jpg.json", "a/1.jpg")])
def test_renamed_one_after_the_other(annotated, order):
    for old in order:
        annotated.disk.move(old, old.replace("a/1", "b/9"))
        annotated.settle(patience=1.0)
    annotated.finish()
    assert says(annotated) == {"b/9.jpg": {OWN: ["cat"]}}


def test_moved_to_another_picture(annotated):
    annotated.disk.write("a/2.jpg")
    annotated.settle()
    annotated.disk.move("a/1.jpg.json", "a/2.jpg.json")
    annotated.finish()
    assert says(annotated) == {"a/2.jpg": {OWN: ["cat"]}}


def test_pictures_that_change_names_and_leave_their_sidecars(world):
    for name in ("1", "2"):
        world.disk.write(f"{name}.jpg")
        world.disk.write(f"{name}.jpg.json", sidecar(name))
    world.settle()
    world.disk.rotate("1.jpg", "2.jpg")
    world.finish()
    assert says(world) == {"1.jpg": {OWN: ["1"]}, "2.jpg": {OWN: ["2"]}}


def test_a_replaced_picture_keeps_them_as_made_on_the_old_one(annotated):
    old = items(annotated)["a/1.jpg"].digest
    annotated.disk.replace("a/1.jpg", b"another picture")
    annotated.finish()
    item = items(annotated)["a/1.jpg"]
    dataset = annotated.remote.open("pets", create=False)
    ((_, (some,)),) = dataset.annotations([item])
    assert item.digest != old
    assert some.digest == old
    annotated.disk.write("a/1.jpg.json", sidecar("cat", "dog"))
    annotated.finish()
    ((_, (some,)),) = dataset.annotations([item])
    assert some.digest == item.digest


def test_one_whose_picture_conflicts_waits(world):
    world.shelf.store("1.jpg", b"theirs")
    world.mirror.comparison.want()
    world.settle()
    world.disk.write("1.jpg", b"ours")
    world.disk.write("1.jpg.json", sidecar("cat"))
    world.settle()
    assert world.troubles() == {"1.jpg": "conflict: the name is taken by other content"}
    assert says(world) == {}
    world.disk.write("1.jpg", b"theirs")
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


@pytest.mark.parametrize("away", [0, 3])
def test_copied_and_the_old_ones_deleted(annotated, away, allow_log):
    allow_log("remote away|comparison broken off")
    annotated.faults += [Fault.UNREACHABLE] * away
    for name in ("1.jpg", "1.jpg.json"):
        annotated.disk.copy(f"a/{name}", f"b/{name}")
    annotated.disk.delete("a")
    annotated.settle()
    assert says(annotated) == {"b/1.jpg": {OWN: ["cat"]}}
    assert "annotate" not in calls(annotated)


def test_renamed_while_nobody_looked_costs_nothing(world):
    for n in range(60):
        world.disk.write(f"{n}/1.jpg")
    world.disk.write("z/1.jpg", b"annotated")
    world.disk.write("z/1.jpg.json", sidecar("cat"))
    world.finish()
    world.requests.clear()
    world.disk.deaf = 9
    world.disk.move("z", "0/a")
    world.sweep()
    world.settle()
    assert {"annotate", "annotations", "put"}.isdisjoint(calls(world))
    assert len(says(world)) == 1


def test_patterns_leave_sidecars_out(annotated):
    (annotated.root / ".syncdignore").write_text("*.json\n")
    annotated.disk.hint(".syncdignore")
    annotated.finish()
    annotated.disk.write("a/1.jpg.json", sidecar("dog"))
    annotated.finish()
    annotated.disk.delete("a/1.jpg.json")
    annotated.finish()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}
