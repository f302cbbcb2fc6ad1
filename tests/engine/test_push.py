"""The one-shot push: it ends in every case, and its report leaves nothing out."""

from __future__ import annotations

import os
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from syncd.engine.options import Options
from syncd.engine.session import push
from syncd.errors import DeniedError, StateError
from syncd.local.listing import WIDEST, stat_of
from syncd.model import Layout
from syncd.remotes.memory import Fault
from tests.engine.digests import digest
from tests.local.rights import bound

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def _announced(allow_log):
    allow_log("remote away|failed path|paused|comparison broken off")


@pytest.fixture
def pushing(make_world):
    return lambda **options: make_world(removes=False, **options)


def run(world, names=(), **said):
    """Push, with workers and a clock that go on by themselves."""
    mirror, turns = world.mirror, 0
    turn = mirror.turn

    def go(wait):
        nonlocal turns
        turns += 1
        assert turns < 5000, "it does not end"
        world.clock.advance(wait if not world.pool.waiting else 0.001)
        turn(0.0)
        world.pool.run(0)
        world.pool.deliver(0)

    mirror.turn = go
    try:
        report = push(mirror, names, **said)
    finally:
        mirror.turn = turn
    assert report.attempted == report.uploaded + report.skipped + len(report.failed)
    return report


def test_what_is_new_is_sent_and_the_rest_is_skipped(pushing, tmp_path):
    world = pushing()
    world.disk.write("a/1.jpg", b"one")
    world.disk.write("a/2.jpg", b"two!")
    world.disk.write("notes.txt", b"no candidate")
    report = run(world)
    assert (report.attempted, report.uploaded, report.bytes, report.success) == (2, 2, 7, True)
    assert report.ignored >= 1
    world.restart()
    report = run(world)
    assert (report.uploaded, report.skipped, report.bytes, report.success) == (0, 2, 0, True)
    world.check()


def test_a_time_after_2262_and_the_largest_inode(pushing):
    """Neither fits into a number of SQLite's."""
    world = pushing()
    for name in ("1.jpg", "2.jpg"):
        world.disk.write(name, name.encode())
    late, early = 13_000_000_000 * SECOND, -10_000_000_000 * SECOND
    os.utime(world.root / "1.jpg", ns=(late, late))
    assert run(world).uploaded == 2
    world.restart()
    assert (run(world).skipped, run(world).uploaded) == (2, 0)
    world.check()
    found = SimpleNamespace(st_size=1, st_mtime_ns=late, st_ino=(1 << 64) - 2)
    assert stat_of(cast(os.stat_result, found)) == (1, WIDEST, -2)
    found.st_mtime_ns = early
    assert stat_of(cast(os.stat_result, found)) == (1, -WIDEST, -2)


def test_an_empty_folder(pushing):
    report = run(pushing())
    assert (report.attempted, report.success) == (0, True)


def test_collisions_are_counted_and_kept(pushing):
    world = pushing(layout=Layout.FLAT)
    world.disk.write("a/1.jpg")
    world.disk.write("b/1.jpg")
    report = run(world)
    assert (report.uploaded, report.renamed) == (2, 1)


def test_a_name_in_use_by_a_file_that_is_gone_does_not_hold_up_the_end(pushing):
    world = pushing(layout=Layout.FLAT)
    world.disk.write("a/1.jpg")
    run(world)
    world.disk.delete("a/1.jpg")
    world.disk.write("b/1.jpg")
    world.restart()
    report = run(world)
    assert (report.uploaded, report.failed) == (1, ())
    assert set(world.stored()) == {"1.jpg", "1~b.jpg"}


def test_a_file_that_goes_meanwhile_is_no_failure(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.disk.write("2.jpg")
    mirror = world.mirror
    mirror.sweep()
    mirror.turn(0.0)
    world.disk.at("1.jpg").unlink()
    report = run(world)
    assert report.failed == ()
    assert set(world.stored()) == {"2.jpg"}


def test_a_remote_that_is_away_for_a_moment(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.faults += [Fault.UNREACHABLE] * 3
    assert run(world).success
    world.check()


def test_a_remote_that_stays_away(pushing):
    world = pushing()
    for n in range(3):
        world.disk.write(f"{n}.jpg")
    world.remote.trouble = lambda request: Fault.UNREACHABLE
    report = run(world)
    assert world.clock.seconds < 60
    assert not report.success
    assert [f.path for f in report.failed] == ["0.jpg", "1.jpg", "2.jpg"]
    assert {f.reason for f in report.failed} == {"not sent: does not answer: connection refused"}
    assert report.away == "does not answer: connection refused"
    world.remote.trouble = lambda request: None
    world.restart()
    assert run(world).uploaded == 3


def test_a_remote_that_wants_to_be_left_alone_for_an_hour(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.remote.trouble = lambda request: Fault.OVERLOADED
    report = run(world)
    assert world.clock.seconds < 60
    assert [f.path for f in report.failed] == ["1.jpg"]


def test_one_file_the_remote_cannot_answer_for(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.disk.write("2.jpg")
    world.remote.trouble = lambda r: Fault.BROKEN if "1.jpg" in r.about else None
    report = run(world)
    assert world.clock.seconds < 90
    assert [(f.path, f.reason) for f in report.failed] == [("1.jpg", "HTTP status 500")]
    assert report.uploaded == 1
    world.remote.trouble = lambda request: None
    world.restart()
    report = run(world)
    assert (report.uploaded, report.success) == (1, True)


def test_refused_credentials(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.remote.trouble = lambda request: Fault.DENIED
    with pytest.raises(DeniedError):
        run(world)


def test_an_unreadable_file(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.disk.at("1.jpg").chmod(0)
    with bound():
        report = run(world)
    assert [f.reason for f in report.failed] == ["no right to read it"]
    world.disk.at("1.jpg").chmod(0o600)
    world.restart()
    assert run(world).uploaded == 1


@contextmanager
def writer(world, path):
    """Somebody has the file open, and writes at every look."""
    file = world.disk.at(path).open("ab")
    turn = world.mirror.turn

    def go(wait):
        file.write(b".")
        file.flush()
        os.utime(file.fileno(), ns=world.disk._now())
        turn(wait)

    world.mirror.turn = go
    try:
        yield
    finally:
        world.mirror.turn = turn
        file.close()


def test_a_file_that_is_being_written_all_the_time(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    world.disk.write("2.jpg")
    with writer(world, "2.jpg"):
        report = run(world)
    assert 25 < world.clock.seconds < 45
    assert [(f.path, f.reason) for f in report.failed] == [("2.jpg", "still being written")]
    assert (report.attempted, report.uploaded) == (2, 1)
    world.restart()
    world.ever.add(digest(world.files()["2.jpg"]))
    report = run(world)
    assert (report.uploaded, report.success) == (1, True)


def test_a_file_that_is_open_but_calm_is_sent_after_two_looks(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    with world.disk.at("1.jpg").open("ab"):
        report = run(world)
    assert report.success
    assert 2 <= world.clock.seconds < 10


def test_only_what_a_person_holds_back_is_left(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    run(world)
    world.shelf.trash("1.jpg")
    world.restart()
    report = run(world)
    assert (report.skipped, report.success) == (1, True)
    assert not world.stored()


def test_a_conflict_is_a_failure_and_ends(pushing):
    world = pushing()
    world.shelf.store("1.jpg", b"theirs")
    world.restart()
    world.disk.write("1.jpg", b"ours")
    report = run(world)
    assert [f.path for f in report.failed] == ["1.jpg"]
    assert "taken by other content" in report.failed[0].reason


def test_a_root_that_goes_meanwhile_is_said(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    run(world)
    world.restart()
    world.root.rename(world.root.with_name("aside"))
    for _ in range(2):  # Found on the way, and known before; neither can be approved.
        with pytest.raises(StateError) as said:
            run(world)
        assert str(said.value) == f"{world.root}: the folder is missing"


@pytest.mark.parametrize("known", [True, False])
def test_a_root_that_was_exchanged_is_told_with_the_way_on(pushing, known):
    world = pushing()
    world.disk.write("1.jpg")
    run(world)
    world.root.rename(world.root.with_name("aside"))
    world.root.mkdir()
    if known:
        world.restart()
    with pytest.raises(StateError, match="another disk or a new folder") as said:
        run(world)
    plan = world.mirror.state.meta.get("gate")["plan"]
    assert (said.value.path, said.value.hint) == (str(world.root), f"syncd approve {plan}")


def test_named_files_and_nothing_else(pushing):
    world = pushing()
    for name in ("1.jpg", "2.jpg", "notes.txt"):
        world.disk.write(name)
    while not world.mirror.inbox.empty():
        world.mirror.inbox.get()
    report = run(world, ("1.jpg", "notes.txt"))
    assert (report.attempted, report.uploaded, report.ignored) == (1, 1, 1)
    assert set(world.stored()) == {"1.jpg"}
    tally = world.mirror.tally
    assert (tally.scanning, tally.files, tally.expected) == (False, 1, report.bytes), "for a bar"


def test_a_named_file_in_another_layout_moves_no_other(pushing):
    """And the next push of all has it where the rest is."""
    world = pushing(layout=Layout.FLAT)
    for name in ("a/1.jpg", "a/2.jpg", "b/2.jpg"):
        world.disk.write(name, name.encode())
    run(world)
    before = world.stored()
    assert {"1.jpg", "2.jpg"} < set(before)
    world.restart(Options(layout=Layout.TREE), ("a/1.jpg",))
    report = run(world, ("a/1.jpg",))
    assert (report.attempted, report.uploaded, report.skipped, report.renamed) == (1, 0, 1, 0)
    assert set(world.stored()) == set(before) - {"1.jpg"} | {"a/1.jpg"}
    assert world.mirror.state.agenda.pending().files == 0, "nothing to do for the others"
    world.restart(Options(layout=Layout.FLAT))
    assert run(world).uploaded == 0
    assert world.stored() == before
    for names in (("a/1.jpg",), ()):
        world.restart(Options(layout=Layout.TREE), names)
        assert run(world, names).uploaded == 0
    assert set(world.stored()) == {"a/1.jpg", "a/2.jpg", "b/2.jpg"}
    world.check()


def test_a_named_file_leaves_what_an_interrupted_push_left(pushing):
    world = pushing()
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        world.disk.write(name, name.encode())
    scanned(world, ("2.jpg",))
    report = run(world, ("2.jpg",))
    assert (report.attempted, report.uploaded, report.skipped) == (1, 1, 0)
    assert set(world.stored()) == {"2.jpg"}
    world.restart()
    assert run(world).uploaded == 2
    world.check()


def scanned(world, names=()):
    """All was seen, and nothing done about it; then a run begins."""
    world.mirror.sweep()
    while world.mirror.sweeping:
        world.mirror.turn(0.0)
    world.restart(names=names)


def test_a_named_file_that_took_the_name_of_one_that_moved(pushing):
    """The other one gets its item back, as it would in a push of all."""
    world = pushing()
    world.disk.write("x.jpg", b"first")
    run(world)
    [item] = world.shelf.present()
    world.disk.move("x.jpg", "y.jpg")
    world.disk.write("x.jpg", b"the second")
    scanned(world, ("x.jpg",))
    report = run(world, ("x.jpg",))
    assert (report.attempted, report.uploaded, report.success) == (1, 1, True)
    assert world.shelf.find("y.jpg").id == item.id
    world.restart()
    assert run(world).uploaded == 0
    world.check()


def test_a_named_file_whose_name_one_has_that_is_gone(pushing):
    world = pushing(layout=Layout.FLAT)
    world.disk.write("sub/x.jpg", b"first")
    run(world)
    world.disk.delete("sub/x.jpg")
    scanned(world)
    world.mirror.state.agenda.wake_gone(world.clock.now_ns())  # as of a daemon that was stopped
    world.disk.write("dir/x.jpg", b"the second")
    while not world.mirror.inbox.empty():
        world.mirror.inbox.get()
    assert run(world, ("dir/x.jpg",)).uploaded == 1
    world.restart()
    assert run(world).uploaded == 0


def test_names_that_cannot_be_carried_are_failures(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    with open(os.fsencode(world.root) + b"/\xff.jpg", "wb"):
        pass
    report = run(world)
    assert report.uploaded == 1
    assert [(f.path, f.reason) for f in report.failed] == [
        ("\\xff.jpg", "the name is not UTF-8: rename it")
    ]


def test_another_dataset_of_the_name_is_filled_anew(pushing):
    world = pushing()
    world.disk.write("1.jpg")
    run(world)
    world.forget_remote()
    world.restart()
    report = run(world)
    assert report.uploaded == 1
    world.check()
