"""A push that only says what it would do, and how many pushes one call comes to."""

from __future__ import annotations

import pytest

from syncd.engine.errand import Errand, distinct, group, merge
from syncd.engine.opening import Target, opened, root_of
from syncd.engine.options import Options
from syncd.engine.rehearsal import rehearse, rehearsed
from syncd.engine.report import Failure, Report
from syncd.engine.session import bind, push
from syncd.errors import BusyError, NotFoundError, StateError, UsageError
from syncd.model import Layout, OnConflict, Verb
from syncd.remotes.memory import MemoryRemote
from tests.engine.annotated import sidecar


@pytest.fixture
def remote():
    return MemoryRemote()


@pytest.fixture
def mirrors(tmp_path):
    return tmp_path / "mirrors"


def target(root, **options):
    return Target(root=root, remote="memory", dataset="pets", options=Options(**options))


def plan(target, remote, mirrors, ahead=None):
    with rehearsed(target, remote, mirrors, ahead or {}) as mirror:
        return [(action.verb, action.path, action.key) for action in rehearse(mirror).actions]


def pushed(target, remote, mirrors):
    with opened(target, remote, mirrors, removes=False) as mirror:
        bind(mirror)
        return push(mirror)


def test_what_is_planned_is_what_is_done_and_leaves_no_trace(tree, remote, mirrors):
    root = tree({"1.jpg": "one", "a/2.jpg": "two", "a/b/2.jpg": "deep"})
    planned = plan(target(root), remote, mirrors)
    assert planned == [
        (Verb.PUT, "1.jpg", "1.jpg"),
        (Verb.PUT, "a/2.jpg", "a/2.jpg"),
        (Verb.PUT, "a/b/2.jpg", "a/2~b.jpg"),
    ]
    assert not mirrors.exists()
    assert not (root / ".syncd-root").exists()
    assert remote.shelves == {}
    pushed(target(root), remote, mirrors)
    keys = {item.key for item in remote.shelves["pets"].present()}
    assert keys == {key for _, _, key in planned}
    assert plan(target(root), remote, mirrors) == []


def test_changes_moves_and_a_new_layout(tree, remote, mirrors):
    root = tree({"a/1.jpg": "one", "a/b/2.jpg": "two", "a/3.jpg": "three"})
    pushed(target(root), remote, mirrors)
    (root / "a/3.jpg").rename(root / "a/4.jpg")
    (root / "a/1.jpg").write_text("edited")
    before = (mirrors / next(mirrors.iterdir()).name / "state.db").read_bytes()
    assert sorted(plan(target(root), remote, mirrors)) == [
        (Verb.MOVE, "a/4.jpg", "a/4.jpg"),
        (Verb.REPLACE, "a/1.jpg", "a/1.jpg"),
    ]
    assert (Verb.MOVE, "a/b/2.jpg", "a/b/2.jpg") in plan(
        target(root, layout=Layout.TREE), remote, mirrors
    )
    assert (mirrors / next(mirrors.iterdir()).name / "state.db").read_bytes() == before


def test_a_name_the_remote_has_is_compared(tree, remote, mirrors):
    root = tree({"1.jpg": "same", "2.jpg": "ours"})
    shelf = remote.open("pets", create=True).shelf
    shelf.store("1.jpg", b"same")
    shelf.store("2.jpg", b"theirs")
    assert plan(target(root), remote, mirrors) == []
    options = {"on_conflict": OnConflict.SUFFIX, "source": "north"}
    assert plan(target(root, **options), remote, mirrors) == [(Verb.PUT, "2.jpg", "2~north.jpg")]


def test_a_root_in_doubt_is_no_plan(tree, remote, mirrors, allow_log):
    allow_log("paused")
    root = tree({"1.jpg": "one"})
    pushed(target(root), remote, mirrors)
    root.rename(root.with_name("aside"))
    root.mkdir()
    with pytest.raises(StateError, match="another disk"):
        plan(target(root), remote, mirrors)


def test_two_at_once_are_refused_with_the_firsts_pid(tree, remote, mirrors):
    root = tree({"1.jpg": "one"})
    with (
        opened(target(root), remote, mirrors, removes=False),
        pytest.raises(BusyError, match=r"pid \d+"),
        opened(target(root), remote, mirrors, removes=False),
    ):
        pass


# --- errands --------------------------------------------------------------------------------------


def errands(*paths, **options):
    return group(list(paths), "pets", "memory", Options(**options))


def test_a_folder_is_one_errand(tree):
    root = tree({"1.jpg": "one"})
    (errand,) = errands(root, root, source="x")
    assert errand == Errand(target=target(root, source="x"))


def test_files_of_one_folder_go_together(tree):
    root = tree({"1.jpg": "one", "2.jpg": "two"})
    (errand,) = errands(root / "1.jpg", root / "2.jpg", root / "1.jpg")
    assert errand.names == ("1.jpg", "2.jpg")
    assert errands(root / "1.jpg", root)[0].names == ()


def test_several_folders_have_names_of_their_own(tree, tmp_path):
    roots = [tree({"1.jpg": "x"}, tmp_path / name) for name in ("a/in", "b/in", "c")]
    found = errands(*roots)
    sources = [errand.target.options.source for errand in found]
    assert [source.rpartition("~")[2] for source in sources] == ["in", "in", "c"]
    assert len(set(sources)) == 3
    assert {errand.target.options.on_conflict for errand in found} == {OnConflict.SUFFIX}
    assert len(set(distinct(roots).values())) == 3


def test_what_is_not_there_or_within_another(tree):
    root = tree({"a/1.jpg": "one"})
    with pytest.raises(NotFoundError):
        errands(root / "none")
    with pytest.raises(UsageError, match="lies inside"):
        errands(root, root / "a")
    with pytest.raises(UsageError, match="nothing to push"):
        errands()
    with pytest.raises(UsageError, match="not a folder"):
        root_of(root / "a/1.jpg")
    with pytest.raises(NotFoundError):
        root_of(root / "none")


def test_reports_of_several_are_one(tree, tmp_path):
    roots = [tree({"1.jpg": "x"}, tmp_path / name) for name in ("a", "b")]
    failed = Failure(path="1.jpg", reason="why")
    reports = [
        Report(dataset="pets", attempted=2, uploaded=1, failed=(failed,), bytes=5, seconds=0.5),
        Report(dataset="pets", attempted=1, skipped=1, away="far"),
    ]
    merged = merge("pets", errands(*roots), reports)
    assert (merged.attempted, merged.uploaded, merged.skipped, merged.bytes) == (3, 1, 1, 5)
    assert [failure.path for failure in merged.failed] == [str(roots[0] / "1.jpg")]
    assert (merged.away, merged.success) == ("far", False)


def test_sidecars_are_read_and_not_set(tree, remote, mirrors):
    root = tree(
        {
            "a/1.jpg": "one", "a/1.jpg.json": sidecar("cat").decode(), "2.jpg.json": "{",
            "3.jpg": "3", "3.jpg.json": "{", "notes.txt": "",
        }
    )  # fmt: skip
    with rehearsed(target(root), remote, mirrors, {}) as mirror:
        told = rehearse(mirror)
    assert [action.key for action in told.actions] == ["3.jpg", "a/1.jpg"]
    assert told.sidecars == (("a/1.jpg.json", "a/1.jpg"),)
    assert [failure.path for failure in told.report.failed] == ["2.jpg.json", "3.jpg.json"]
    assert told.report.ignored == 1
    pushed(target(root), remote, mirrors)
    shelf = remote.shelves["pets"]
    (sets,) = shelf.sets.values()
    (root / "a" / "1.jpg.json").write_bytes(sidecar("dog"))
    assert plan(target(root), remote, mirrors) == []
    assert list(shelf.sets.values()) == [sets]
