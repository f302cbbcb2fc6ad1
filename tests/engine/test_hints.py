"""Hints alone must do, without a scan behind them; and nothing turns round and round."""

from __future__ import annotations

from syncd.local.hint import Hint
from syncd.model import Layout


def test_a_folder_in_a_files_place(world):
    world.disk.write("a.jpg")
    world.settle()
    world.disk.at("a.jpg").unlink()
    world.disk.at("a.jpg").mkdir()
    world.disk.fill(world.disk.at("a.jpg/1.jpg"), b"in the folder")
    world.disk.hint("a.jpg", tree=True)
    world.settle()
    assert list(world.stored().values()) == [b"in the folder"]
    world.check()


def test_a_file_in_a_folders_place(make_world):
    world = make_world(layout=Layout.TREE)
    world.disk.write("a.jpg/1.jpg")
    world.disk.write("a.jpg/deep/2.jpg")
    world.settle()
    world.disk.delete("a.jpg")
    world.disk.write("a.jpg", b"a file now")
    world.settle()
    assert world.stored() == {"a.jpg": b"a file now"}
    world.check()


def test_a_link_to_a_folder_in_a_folders_place(world):
    world.disk.write("a/1.jpg")
    world.disk.write("b/1.jpg", b"elsewhere")
    world.settle()
    world.disk.at("a").rename(world.disk.at(".aside"))
    world.disk.at("a").symlink_to("b")
    world.disk.hint("a")
    world.finish()
    assert world.stored() == {"b/1.jpg": b"elsewhere"}


def test_a_hint_about_what_is_not_there_and_never_was(world):
    world.disk.hint("ghost.jpg", "ghost/1.jpg", "ghost")
    world.mirror.post(Hint(path="ghost", prompt=True, tree=True))
    world.settle()
    assert not world.stored()


def test_a_file_that_is_no_candidate_any_more_by_its_new_name(world):
    world.disk.write("1.jpg")
    world.settle()
    world.disk.move("1.jpg", "1.txt")
    world.settle()
    assert not world.stored()


def test_patterns_that_come_later_remove_nothing(make_world):
    world = make_world(layout=Layout.FLAT)
    world.disk.write("a/1.jpg", b"kept")
    world.disk.write("b/2.jpg")
    world.settle()
    (world.root / ".syncdignore").write_text("a/\n")
    world.disk.hint(".syncdignore")
    world.finish()
    assert set(world.stored()) == {"1.jpg", "2.jpg"}
    assert world.mirror.state.files.row("a/1.jpg") is None
    world.disk.write("b/1.jpg", b"of the same name")
    world.finish()
    assert world.stored()["1.jpg"] == b"kept"


def test_patterns_that_go_take_the_files_back_unsent(world):
    world.disk.write("a/1.jpg")
    world.settle()
    (world.root / ".syncdignore").write_text("*.jpg\n")
    world.disk.hint(".syncdignore")
    world.finish()
    world.remote.sent = 0
    (world.root / ".syncdignore").unlink()
    world.disk.hint(".syncdignore")
    world.finish()
    assert world.remote.sent == 0
    world.check()


def test_a_pattern_file_that_cannot_be_understood_removes_nothing(world):
    world.disk.write("a/1.jpg")
    world.settle()
    (world.root / ".syncdignore").write_bytes(b"[\n")
    world.disk.hint(".syncdignore")
    world.finish()
    assert set(world.stored()) == {"a/1.jpg"}


def test_a_folder_that_cannot_be_listed_is_unknown_and_not_gone(world, monkeypatch):
    world.disk.write("a/1.jpg")
    world.settle()
    moved = world.disk.at("a").rename(world.disk.at(".aside"))
    world.disk.at("a").symlink_to("a")  # ELOOP, whoever asks
    world.sweep()
    world.settle()
    world.disk.at("a").unlink()
    moved.rename(world.disk.at("a"))
    world.finish()
    world.check()


def test_touch_costs_a_read_and_no_bytes(world):
    world.disk.write("1.jpg")
    world.settle()
    world.remote.sent = 0
    world.disk.touch("1.jpg")
    world.settle()
    assert world.remote.sent == 0
    world.check()


def test_nothing_changed_asks_nothing_and_reads_nothing(world):
    for n in range(20):
        world.disk.write(f"{n}.jpg")
    world.finish()
    asked = len(world.requests)
    for n in range(20):
        world.disk.at(f"{n}.jpg").chmod(0)
    world.sweep()
    world.settle()
    assert len(world.requests) == asked
    assert world.troubles() == {}


def test_a_paused_mirror_sleeps(world, allow_log):
    allow_log("paused")
    world.disk.write("1.jpg")
    world.turn()
    world.root.rename(world.root.with_name("aside"))
    assert world.mirror.guard.check()
    world.mirror.comparison.want()
    world.turn()
    assert world.mirror.wait_for(30.0) == 30.0
    world.root.with_name("aside").rename(world.root)


def test_a_mirror_with_work_under_way_sleeps(world):
    world.disk.write("1.jpg")
    world.turn()
    assert world.pool.given
    world.disk.write("1.jpg", b"again, while it is on its way")
    for _ in range(5):
        world.turn()
    assert world.mirror.wait_for(30.0) > 0
    world.settle()
    world.check()
