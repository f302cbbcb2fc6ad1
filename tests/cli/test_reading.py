"""ls, get, pull, verify, trash: what is at the remote is told, brought back and compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from syncd.remotes.base import Upload
from tests.cli.test_push import _removal
from tests.e2e.program import digest

FIELDS = ["id", "dataset", "folder", "name", "size", "sha256", "content_type", "modified",
          "metadata"]  # fmt: skip


@pytest.fixture
def stored(cli, shelf, name, photos):
    """The pictures, in the dataset of this test."""
    cli("push", photos, "--to", name, "--quiet")
    return photos


def test_ls_tells_every_field_of_the_contract(cli, name, stored):
    os.utime(stored / "trip" / "b.png", ns=(0, 1_600_000_000_123_456_789))
    cli("push", stored, "--to", name)
    items = {item["name"]: item for item in cli("ls", name, "--json").lines}
    assert [list(item) for item in items.values()] == [FIELDS] * 6
    told = items["b.png"]
    assert (told["dataset"], told["folder"], told["size"]) == (name, "/trip", 2)
    assert (told["sha256"], told["content_type"]) == (digest(b"bb"), "image/png")
    assert items["a.jpg"]["folder"] == "/"
    assert items["a.jpg"]["metadata"] == {}
    assert datetime.fromisoformat(told["modified"]).tzinfo == UTC


def test_ls_lists_datasets_folders_and_single_files(cli, name, stored):
    datasets = {one["dataset"]: one for one in cli("ls", "--json").lines}
    assert (datasets[name]["items"], datasets[name]["bytes"]) == (6, 21)
    assert re.search(rf"^{name} +6 items +21 B$", cli("ls").out, re.MULTILINE)
    trip = [f"{name}/trip/{n}" for n in ("b.png", "c.jpg", "c~day2.jpg", "d.webp")]
    assert [line.split()[-1] for line in cli("ls", f"{name}/trip").out.splitlines()] == trip
    assert cli("ls", f"/{name}/trip/").out == cli("ls", f"{name}/trip").out
    assert cli("ls", f"{name}/a.jpg", "--json").lines[0]["name"] == "a.jpg"
    assert "nothing of that name" in cli("ls", f"{name}/tri", code=4).err
    assert "no dataset" in cli("ls", f"{name}-not", code=4).err


def test_get_brings_a_file_to_where_it_is_wanted(cli, name, stored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("get", f"{name}/trip/b.png").err == f"{name}/trip/b.png is in b.png\n"
    assert (tmp_path / "b.png").read_bytes() == b"bb"
    cli("get", f"{name}/a.jpg", "-o", tmp_path / "other.jpg")
    assert (tmp_path / "other.jpg").read_bytes() == b"a"
    (tmp_path / "folder").mkdir()
    assert "folder/a.jpg" in cli("get", f"{name}/a.jpg", "-o", tmp_path / "folder").err
    assert (tmp_path / "folder" / "a.jpg").read_bytes() == b"a"
    assert cli("get", f"{name}/trip/d.webp", "-o", "-").out == "ddddd"
    assert "standard output" in cli("get", f"{name}/a.jpg", "-o", "-", "--json", code=2).err
    told = cli("get", f"{name}/a.jpg", "-o", tmp_path / "other.jpg", "--json")
    wanted = {"dataset": name, "key": "a.jpg", "path": str(tmp_path / "other.jpg")}
    assert (told.json, told.err) == (wanted, "")
    again = cli("get", f"{name}/a.jpg", "-o", tmp_path / "b.png", code=1)
    assert again.err.startswith(f"syncd: {tmp_path / 'b.png'}: something else has this name")
    assert "-o FILE" in again.err
    assert (tmp_path / "b.png").read_bytes() == b"bb"
    assert "no such folder" in cli("get", f"{name}/a.jpg", "-o", "/nowhere/x.jpg", code=4).err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "b.png", "other.jpg",
    ]  # fmt: skip


def test_pull_brings_all_and_again_nothing(cli, name, stored, tmp_path):
    done = cli("pull", name, tmp_path / "back" / "here", "--json").json
    assert (done["attempted"], done["fetched"], done["bytes"]) == (6, 6, 21)
    found = {
        str(path.relative_to(tmp_path / "back" / "here")): path.read_bytes()
        for path in (tmp_path / "back").rglob("*") if path.is_file()
    }  # fmt: skip
    assert found == {
        "a.jpg": b"a", "trip/b.png": b"bb", "trip/c.jpg": b"ccc", "trip/c~day2.jpg": b"cccc",
        "trip/d.webp": b"ddddd", "home/e.tiff": b"eeeeee",
    }  # fmt: skip
    times = (stored / "a.jpg").stat().st_mtime_ns, (tmp_path / "back/here/a.jpg").stat().st_mtime_ns
    assert times[0] == times[1]
    again = cli("pull", name, tmp_path / "back" / "here", "--json").json
    assert (again["fetched"], again["skipped"], again["bytes"]) == (0, 6, 0)
    told = cli("pull", name, tmp_path / "back" / "here")
    assert told.out.startswith(f"{name}: 0 fetched, 6 there already, 0 B in ")


def test_pull_leaves_alone_and_reports_what_is_something_else(cli, name, stored, tmp_path):
    place = tmp_path / "back"
    place.mkdir()
    (place / "a.jpg").write_bytes(b"mine")
    (tmp_path / "outside").mkdir()
    (place / "trip").symlink_to(tmp_path / "outside")
    done = cli("pull", name, place, "--json", code=1).json
    failed = {failure["path"]: failure["reason"] for failure in done["failed"]}
    assert "something else" in failed["a.jpg"]
    assert {path for path in failed if path.startswith("trip/")} == set(failed) - {"a.jpg"}
    assert (place / "a.jpg").read_bytes() == b"mine"
    assert (place / "home" / "e.tiff").exists()
    assert list((tmp_path / "outside").iterdir()) == [], "a link led it out of the folder"
    assert "is not a folder" in cli("pull", name, place / "a.jpg", code=2).err


def test_verify_reads_every_byte(cli, name, stored):
    assert cli("verify", name).out == f"{name}: 6 checked, 0 wrong\n"
    told = cli("verify", name, "--json").json
    assert told == {"dataset": name, "checked": 6, "bytes": 21, "wrong": [], "success": True}


def test_verify_against_a_folder_names_what_is_not_there(cli, name, stored):
    assert "0 wrong" in cli("verify", name, "--against", stored).out
    (stored / "a.jpg").write_bytes(b"other")
    (stored / "home" / "new.png").write_bytes(b"new")
    told = cli("verify", name, "--against", stored, "--json", code=1).json
    assert {wrong["path"]: wrong["reason"] for wrong in told["wrong"]} == {
        "a.jpg": "other content at the remote",
        "home/new.png": "not at the remote",
    }
    assert told["checked"] == 7
    said = cli("verify", name, "--against", stored, code=1)
    assert "2 wrong" in said.out
    assert "home/new.png: not at the remote" in said.err
    assert "there is no such folder" in cli("verify", name, "--against", "/nope", code=4).err


def test_verify_says_how_many_more_are_wrong(cli, name, stored):
    for number in range(60):
        (stored / f"{number:02}.jpg").write_bytes(b"%d" % number)
    said = cli("verify", name, "--against", stored, code=1).err.splitlines()
    assert said[0].startswith("  00.jpg: ")
    assert said[50:] == ["  and 10 more: --json lists them"]


def test_what_is_empty_is_said_to_be(cli, home, name, stored):
    assert cli("trash", "list", name).err == f"the trash of {name} is empty\n"
    assert cli("trash", "list", name, "--json").err == ""


def test_verify_against_a_folder_names_what_cannot_be_looked_at(cli, name, stored):
    os.mkfifo(stored / "trip" / ".syncdignore")
    said = cli("verify", name, "--against", stored, code=1)
    assert "trip: " in said.err
    assert "it is not a regular file" in said.err


def test_trash_is_listed_restored_and_emptied(cli, shelf, name, stored, photos):
    with shelf.open() as dataset:
        items = {item.key: item for item in dataset.items()}
        dataset.remove([_removal(items["a.jpg"]), _removal(items["trip/b.png"])])
    listed = cli("trash", "list", name, "--json").lines
    assert [list(item) for item in listed] == [FIELDS] * 2
    assert [line.split()[-1] for line in cli("trash", "list", name).out.splitlines()] == [
        "a.jpg", "trip/b.png",
    ]  # fmt: skip
    told = cli("trash", "restore", name, "/trip/b.png", "--json").json
    assert told == {"dataset": name, "restored": 1, "failed": []}
    assert "is not in the trash" in cli("trash", "restore", name, "zz.jpg", code=4).err
    assert "say --yes" in cli("trash", "empty", name, code=2).err
    assert set(shelf.items()) == set(items) - {"a.jpg"}
    told = cli("trash", "empty", name, "--yes", "--json").json
    assert told == {"dataset": name, "deleted": 1}
    assert cli("trash", "empty", name, "--yes").out == "0 deleted\n"
    assert cli("trash", "restore", name).out == "0 restored\n"
    assert cli("trash", "list", name).out == ""


def test_of_two_of_a_name_the_newer_comes_back_and_the_other_stays(cli, name, stored, shelf):
    second = Upload(key="a.jpg", digest=digest(b"second"), size=6, file=stored / "a.jpg",
                    content=b"second", modified_ns=1, expect=None)  # fmt: skip
    with shelf.open() as dataset:
        dataset.remove([_removal(dataset.find("a.jpg"))])
        [outcome] = dataset.put([second])
        dataset.remove([_removal(outcome.item)])
    said = cli("trash", "restore", name).out
    assert said == "1 restored; 1 older of the same names are left in the trash\n"
    assert shelf.items()["a.jpg"].digest == digest(b"second")


@pytest.mark.parametrize("form", ["", "--json"], ids=["lines", "more than a pipe holds"])
def test_a_reader_that_has_seen_enough_is_no_error(cli, shared, name, tree, tmp_path, form):
    tree({f"{n}.jpg": b"%d" % n for n in range(300)}, tmp_path / "many")
    cli("push", tmp_path / "many", "--to", name, "--quiet")
    done = subprocess.run(
        f"{sys.executable} -m syncd ls {name} {form} | head -n 1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")
