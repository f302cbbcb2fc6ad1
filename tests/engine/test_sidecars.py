"""Sidecars in a watched folder: `a.jpg.json` sets the annotations of `a.jpg`, whatever the order,
and once."""

from __future__ import annotations

import json

import pytest

from syncd.annotation.sidecar import render
from syncd.errors import DeniedError
from syncd.model import OnDelete
from syncd.remotes.memory import Fault, PlainDataset
from tests.engine.annotated import says, sidecar
from tests.engine.test_push import run
from tests.engine.world import Crash, LatePool

OWN = "folder:root"


@pytest.fixture
def annotated(world):
    """A picture with its sidecar, both settled."""
    world.disk.write("a/1.jpg")
    world.disk.write("a/1.jpg.json", sidecar("cat"))
    world.settle()
    assert says(world) == {"a/1.jpg": {OWN: ["cat"]}}
    world.requests.clear()
    return world


def calls(world):
    return [request.call for request in world.requests]


def items(world):
    return {item.key: item for item in world.shelf.present()}


def rendered(world, key):
    """The sidecar as the mount shows it."""
    item = items(world)[key]
    dataset = world.remote.open("pets", create=False)
    ((_, sets),) = dataset.annotations([item])
    return render(item, sets)


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


@pytest.mark.parametrize("other", [b'{"exif": {}}', b"[1, 2]", b'"text"', b"7", b"{}"])
def test_json_of_any_other_kind_is_not_a_sidecar(make_world, other):
    world = make_world(removes=False)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", other)
    report = run(world)
    assert (report.success, report.ignored) == (True, 1)
    assert "annotate" not in calls(world)


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
    world.mirror.compare()
    world.settle()
    world.disk.write("1.jpg", b"ours")
    world.disk.write("1.jpg.json", sidecar("cat"))
    world.settle()
    assert world.troubles() == {"1.jpg": "conflict: the name is taken by other content"}
    assert says(world) == {}
    world.disk.write("1.jpg", b"theirs")
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_the_state_file_is_lost(annotated):
    annotated.crash()
    annotated.forget_state()
    annotated.start()
    annotated.finish()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}
    assert "annotate" not in calls(annotated)
    annotated.disk.delete("a/1.jpg.json")
    annotated.finish()
    assert says(annotated) == {}


def test_a_restored_remote_gets_them_again(annotated, allow_log):
    allow_log("paused")
    annotated.shelf.sets.clear()
    annotated.shelf.put_back(annotated.shelf.backup(), "restored")
    annotated.approving = True
    annotated.finish()
    assert says(annotated) == {"a/1.jpg": {OWN: ["cat"]}}


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


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.LOST, Fault.BROKEN, Fault.GARBLED])
def test_a_remote_that_fails_for_a_while(world, fault, allow_log):
    allow_log("failed path|remote away")
    for n in range(5):
        world.disk.write(f"{n}.jpg")
    world.settle()
    for n in range(5):
        world.disk.write(f"{n}.jpg.json", sidecar("cat"))
    world.faults += [fault] * 4
    world.settle()
    assert says(world) == {f"{n}.jpg": {OWN: ["cat"]} for n in range(5)}
    assert world.mirror.state.sidecars.troubles() == []
    assert world.mirror.state.meta.get("away") is None


def test_refused_credentials_end_it(world, allow_log):
    allow_log("failed path")
    world.disk.write("1.jpg")
    world.settle()
    world.remote.trouble = lambda r: Fault.DENIED if r.call == "annotate" else None
    world.disk.write("1.jpg.json", sidecar("cat"))
    for _ in range(8):
        world.mirror.turn(0.0)
        world.pool.run(0)
        world.pool.deliver(0)
        if world.mirror.settlement.denied:
            break
    assert isinstance(world.mirror.settlement.denied, DeniedError)
    world.remote.trouble = lambda request: None
    world.restart()
    world.settle()
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_killed_anywhere_it_comes_to_the_same_end(make_world):
    """At every job there is, just before it and with its answer lost."""
    for at in range(6):
        for lost in (False, True):
            world = make_world()
            world.disk.write("1.jpg")
            world.disk.write("1.jpg.json", sidecar("cat", operation="project"))
            _run_jobs(world, at)
            if lost:
                world.pool.run(0)
            world.crash()
            world.start()
            world.finish()
            assert says(world) == {"1.jpg": {"project": ["cat"]}}, (at, lost)
            world.disk.delete("1.jpg.json")
            world.turn()
            _run_jobs(world, at)
            if lost:
                world.pool.run(0)
            world.crash()
            world.start()
            world.finish()
            assert says(world) == {}, (at, lost)


def _run_jobs(world, number):
    for _ in range(number):
        world.turn()
        world.clock.advance(1.0)
        world.pool.run(0)
        world.pool.deliver(0)
    world.turn()


def test_killed_with_a_changed_copy_on_its_way_it_knows_what_it_brought(world):
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat", operation="p"))
    world.settle()
    shown = json.loads(rendered(world, "1.jpg"))
    world.disk.delete("1.jpg.json")
    world.settle()
    assert says(world) == {}
    world.disk.write("1.jpg.json", json.dumps(shown).encode())
    while not says(world):
        world.turn()
        world.pool.run(0)
        if not says(world):
            world.pool.deliver(0)
    world.crash()  # it is at the remote, and nobody heard so
    world.start()
    world.finish()
    world.disk.delete("1.jpg.json")
    world.finish()
    assert says(world) == {}


def test_killed_the_moment_it_was_sent_it_knows_as_well(world, monkeypatch):
    """The remote may have it before this turn has ended."""
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat", operation="p"))
    world.settle()
    shown = rendered(world, "1.jpg")
    world.disk.delete("1.jpg.json")
    world.settle()
    give = LatePool.give

    def carried_out(pool, job):
        give(pool, job)
        if getattr(job, "parcels", ()) and not says(world):
            pool.run(0)
            raise Crash

    monkeypatch.setattr(LatePool, "give", carried_out)
    world.restart()
    world.disk.write("1.jpg.json", shown)
    while not says(world):
        world.turn()
        world.pool.run(0)
        world.pool.deliver(0)
    world.finish()
    world.disk.delete("1.jpg.json")
    world.finish()
    assert says(world) == {}


def test_killed_in_a_push_the_next_push_goes_on(make_world):
    world = make_world(removes=False)
    world.disk.write("1.jpg")
    world.disk.write("1.jpg.json", sidecar("cat"))
    while not any(getattr(job, "parcels", ()) for job in world.pool.given):
        world.turn()
        if not any(getattr(job, "parcels", ()) for job in world.pool.given):
            world.pool.run(0)
            world.pool.deliver(0)
    world.crash()
    world.start()
    assert run(world).success
    assert says(world) == {"1.jpg": {OWN: ["cat"]}}


def test_changed_while_it_was_read(annotated):
    annotated.disk.write("a/1.jpg.json", sidecar("dog"))
    annotated.turn()
    annotated.pool.run(0)
    annotated.disk.write("a/1.jpg.json", sidecar("bird"))
    annotated.turn()
    annotated.pool.deliver(0)
    annotated.settle()
    assert says(annotated) == {"a/1.jpg": {OWN: ["bird"]}}


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
