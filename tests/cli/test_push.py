"""push: what it counts, what a run again costs, and that a dry run tells what would be done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import digest
from tests.engine.annotated import sidecar

FIELDS = {
    "dataset": str, "attempted": int, "uploaded": int, "skipped": int, "renamed": int,
    "ignored": int, "failed": list, "bytes": int, "seconds": float, "success": bool,
}  # fmt: skip


def counts(report: dict[str, Any]) -> tuple[int, ...]:
    assert {name: type(value) for name, value in report.items()} == FIELDS
    assert report["attempted"] == report["uploaded"] + report["skipped"] + len(report["failed"])
    return tuple(report[n] for n in ("attempted", "uploaded", "skipped", "renamed", "ignored"))


def test_counts_add_up_and_a_run_again_is_a_success(cli, shelf, name, photos):
    first = cli("push", photos, "--to", name, "--json").json
    assert counts(first) == (6, 6, 0, 1, 2)
    assert (first["bytes"], first["success"], first["dataset"]) == (21, True, name)
    again = cli("push", photos, "--to", name, "--json").json
    assert counts(again) == (6, 0, 6, 1, 2)
    assert (again["bytes"], again["success"], again["failed"]) == (0, True, [])

    (photos / "a.jpg").write_bytes(b"changed")
    (photos / "new.gif").write_bytes(b"new")
    third = cli("push", photos, "--to", name, "--json").json
    assert counts(third) == (7, 2, 5, 1, 2)
    assert third["bytes"] == 10


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ([], {"a.jpg", "trip/b.png", "trip/c.jpg", "trip/c~day2.jpg", "trip/d.webp",
              "home/e.tiff"}),
        (
            ["--preserve-folders"],
            {"a.jpg", "trip/b.png", "trip/day1/c.jpg", "trip/day2/c.jpg", "trip/day2/d.webp",
             "home/e.tiff"},
        ),
        (["--flat"], {"a.jpg", "b.png", "c.jpg", "c~trip~day2.jpg", "d.webp", "e.tiff"}),
        (
            ["--path", "/x/y/"],
            {"x/y/a.jpg", "x/y/trip/b.png", "x/y/trip/c.jpg", "x/y/trip/c~day2.jpg",
             "x/y/trip/d.webp", "x/y/home/e.tiff"},
        ),
    ],
    ids=["first-level", "tree", "flat", "path"],
)  # fmt: skip
def test_layouts_and_the_dry_run_tell_the_same(cli, home, shelf, name, photos, options, keys):
    dataset = f"{name} {options}".replace("/", "-")
    listed = cli("ls").out
    plan = cli("push", photos, "--to", dataset, "--dry-run", "--json", *options).json
    assert plan["dataset"] == dataset
    assert {step["key"] for step in plan["plan"]} == keys
    assert {step["verb"] for step in plan["plan"]} == {"put"}
    assert cli("ls").out == listed, "a dry run makes no dataset"
    assert not (home / "state" / "syncd" / "mirrors").exists(), "a dry run writes no state"
    assert sorted(path.name for path in photos.iterdir() if path.name.startswith(".")) == [
        ".hidden.jpg"
    ]
    told = cli("push", photos, "--to", dataset, "--dry-run", *options).out
    assert "6 to do, " in told
    assert (plan["ignored"], plan["failed"]) == (2, [])
    cli("push", photos, "--to", dataset, *options)
    found = [item["folder"].lstrip("/") + "/" + item["name"] for item in
             cli("ls", dataset, "--json").lines]  # fmt: skip
    assert {path.lstrip("/") for path in found} == keys
    assert cli("push", photos, "--to", dataset, "--dry-run", "--json", *options).json["plan"] == []


def test_a_dry_run_of_a_changed_folder_is_what_the_push_then_does(cli, shelf, name, photos):
    cli("push", photos, "--to", name)
    before = shelf.items()
    (photos / "a.jpg").write_bytes(b"other")
    (photos / "trip" / "b.png").rename(photos / "home" / "moved.png")
    (photos / "home" / "e.tiff").unlink()
    (photos / "new.jpg").write_bytes(b"new")
    plan = cli("push", photos, "--to", name, "--dry-run", "--json").json["plan"]
    assert {(step["verb"], step["key"]) for step in plan} == {
        ("replace", "a.jpg"), ("move", "home/moved.png"), ("put", "new.jpg"),
    }  # fmt: skip
    done = cli("push", photos, "--to", name, "--json").json
    assert done["uploaded"] == 2
    after = shelf.items()
    assert after["home/moved.png"].id == before["trip/b.png"].id
    assert after["home/e.tiff"].id == before["home/e.tiff"].id, "a push never removes"
    assert after["a.jpg"].digest == digest(b"other")


@pytest.mark.parametrize("before", [[], ["a.jpg"]], ids=["new", "there"])
def test_a_dry_run_tells_of_sidecars_and_of_what_fails(cli, shared, name, tree, before):
    root = tree({"a.jpg": b"a", "new/b.jpg": b"b", "new/b.jpg.json": sidecar("cat"),
                 "a.jpg.json": "{"})  # fmt: skip
    name = f"{name} {len(before)}"
    for known in before:
        cli("push", root / known, "--to", name)
    told = cli("push", root, "--to", name, "--dry-run", "--json").json
    assert {"verb": "annotate", "path": "new/b.jpg.json", "key": "new/b.jpg",
            "reason": "its sidecar"} in told["plan"]  # fmt: skip
    assert [failure["path"] for failure in told["failed"]] == ["a.jpg.json"]
    said = cli("push", root, "--to", name, "--dry-run")
    assert "annotate new/b.jpg.json -> /new/b.jpg (its sidecar)\n" in said.out
    assert f"{3 - len(before)} to do, 1 failed; nothing was sent" in said.out
    assert "a.jpg.json: " in said.err
    done = cli("push", root, "--to", name, "--json", code=1).json
    assert [failure["path"] for failure in done["failed"]] == ["a.jpg.json"]


def test_several_folders_of_equal_names_are_told_apart(cli, shelf, name, tree, tmp_path):
    for folder, content in (("x", b"from x"), ("y", b"from y")):
        tree({"cam/1.jpg": content, "cam/same.jpg": b"same"}, tmp_path / folder)
    roots = (tmp_path / "x", tmp_path / "y")
    plan = cli("push", *roots, "--to", name, "--dry-run", "--json").json["plan"]
    done = cli("push", *roots, "--to", name, "--json").json
    expected = {"cam/1.jpg": b"from x", "cam/1~y.jpg": b"from y", "cam/same.jpg": b"same"}
    assert shelf.digests() == {key: digest(content) for key, content in expected.items()}
    assert counts(done)[:4] == (4, 3, 1, 1)
    assert {step["key"] for step in plan if step["verb"] == "put"} == set(expected)
    assert counts(cli("push", *roots, "--to", name, "--json").json)[:3] == (4, 0, 4)


def test_single_files_go_alone(cli, shelf, name, photos):
    done = cli("push", photos / "a.jpg", photos / "trip" / "b.png", "--to", name, "--json").json
    assert counts(done)[:2] == (2, 2)
    assert set(shelf.items()) == {"a.jpg", "b.png"}
    left_out = cli("push", photos / "notes.txt", "--to", name, "--json").json
    assert counts(left_out) == (0, 0, 0, 0, 1)
    told = cli("push", photos / "notes.txt", "--to", name, "--extension", "txt", "--json").json
    assert counts(told)[:2] == (1, 1)


def test_a_named_file_that_no_rule_takes_is_told_with_the_way_out(cli, shared, name, tree):
    root = tree({"notes.txt": b"x"})
    said = cli("push", root / "notes.txt", "--to", name)
    assert "1 ignored" in said.out
    assert "--extension EXT takes files that end so" in said.err


def test_every_kind_can_be_asked_for(cli, shelf, name, photos):
    (photos / "data.bin").write_bytes(b"bin")
    done = cli("push", photos, "--to", name, "--extension", "*", "--json").json
    assert counts(done) == (8, 8, 0, 1, 1)


def test_nothing_is_said_with_quiet_and_one_line_without(cli, shelf, name, photos):
    quiet = cli("push", photos, "--to", name, "--quiet")
    assert (quiet.out, quiet.err) == ("", "")
    told = cli("push", photos, "--to", name)
    counted = (
        f"{name}: 0 uploaded, 6 there already, 1 renamed,"
        " 2 ignored (1 extension .txt, 1 hidden), 0 B in "
    )
    assert re.fullmatch(re.escape(counted) + r"\d+\.\d s\n", told.out)


def test_what_no_rule_took_is_counted_by_rule_over_all_folders(cli, shelf, name, tree, tmp_path):
    one = tree({"a.txt": b"", ".b.jpg": b"", "c.part": b""}, tmp_path / "one")
    two = tree({"a.txt": b"", "sub/b.TXT": b""}, tmp_path / "two")
    assert "5 ignored (3 extension .txt, 1 hidden, 1 " in cli("push", one, two, "--to", name).out
    assert cli("push", one, two, "--to", name, "--json").json["ignored"] == 5
    assert "ignored: 2 extension .txt" in cli("status").out


def test_what_cannot_be_read_is_named_and_the_rest_goes(cli, shelf, name, photos):
    os.mkfifo(photos / "pipe.jpg")
    raw = os.fsencode(photos) + b"/\xff.jpg"
    os.close(os.open(raw, os.O_CREAT | os.O_WRONLY))
    done = cli("push", photos, "--to", name, "--json", code=1).json
    assert counts(done) == (7, 6, 0, 1, 3)
    assert [f["path"] for f in done["failed"]] == ["\\xff.jpg"]
    assert done["success"] is False
    told = cli("push", photos, "--to", name, code=1)
    assert "1 failed" in told.out
    assert "\\xff.jpg: the name is not UTF-8: rename it" in told.err


def test_named_files_that_are_not_utf8_are_reported_and_stop_no_other(cli, shelf, name, photos):
    odd = os.fsdecode(os.fsencode(photos) + b"/bad\xff.jpg")
    Path(odd).write_bytes(b"odd")
    told = cli("push", odd, photos / "a.jpg", "--to", name, "--json", code=1).json
    failed = [{"path": "bad\\xff.jpg", "reason": "the name is not UTF-8: rename it"}]
    assert (told["attempted"], told["uploaded"], told["failed"]) == (2, 1, failed)
    told = cli("push", odd, "--to", name, "--json", code=1).json
    assert (told["attempted"], told["uploaded"], told["failed"]) == (1, 0, failed)
    assert set(shelf.items()) == {"a.jpg"}
    assert cli("push", odd, "--to", name, "--dry-run", "--json").json["plan"] == []


def test_what_somebody_trashed_is_not_sent_again_and_what_vanished_is(cli, shelf, name, photos):
    cli("push", photos, "--to", name)
    with shelf.open() as dataset:
        items = {item.key: item for item in dataset.items()}
        dataset.remove([_removal(items["a.jpg"]), _removal(items["home/e.tiff"])])
    again = cli("push", photos, "--to", name, "--json").json
    assert counts(again)[:3] == (6, 0, 6)
    assert "a.jpg" not in shelf.items()
    cli("trash", "restore", name, "a.jpg")
    cli("trash", "empty", name, "--yes")
    assert counts(cli("push", photos, "--to", name, "--json").json)[:2] == (6, 0)
    assert set(shelf.items()) & {"a.jpg", "home/e.tiff"} == {"a.jpg"}


def _removal(item):
    from syncd.remotes.base import Removal

    return Removal(item_id=item.id, expect=item.version, key=item.key)


def test_two_pushes_of_one_folder_do_not_run_at_once(cli, shared, name, photos, home):
    holder = subprocess.Popen(
        [sys.executable, "-m", "syncd", "watch", str(photos), "--to", name],
        stderr=subprocess.PIPE,
    )
    assert holder.stderr
    with holder.stderr as said:
        for line in said:
            if b"drop files" in line:
                break
        refused = cli("push", photos, "--to", name, code=6)
        assert f"pid {holder.pid}" in refused.err
        holder.send_signal(signal.SIGTERM)
        said.read()
    assert holder.wait(30) == 0


def test_a_folder_that_lies_in_another_arrives_once(cli, shelf, name, photos):
    cli("push", photos, "--to", name)
    again = cli("push", photos, photos / "trip", "--to", name, code=2)
    assert "lies inside" in again.err
    assert len(shelf.items()) == 6


def test_the_folder_itself_may_be_a_link(cli, shelf, name, photos, tmp_path):
    (tmp_path / "link").symlink_to(photos)
    cli("push", tmp_path / "link", "--to", name)
    assert counts(cli("push", photos, "--to", name, "--json").json)[:3] == (6, 0, 6)


def test_the_way_of_writing_the_path_does_not_matter(cli, shelf, name, photos, monkeypatch):
    monkeypatch.chdir(photos)
    cli("push", ".", "--to", name)
    monkeypatch.chdir(photos / "trip")
    done = cli("push", Path("..") / "trip" / "..", "--to", name, "--json").json
    assert counts(done)[:3] == (6, 0, 6)
