"""Orders to mirrors that no daemon runs: what is said is what will be, and when."""

from __future__ import annotations

import re
import time

import pytest

from syncd.config.places import places
from syncd.state.report import mirrors
from syncd.state.store import State
from syncd.state.troubles import Trouble


@pytest.fixture
def pushed(cli, shared, name, photos):
    """A folder that was pushed, so that there is a mirror which nobody runs."""
    cli("push", photos, "--to", name)
    return photos


def spoil(*paths: str) -> None:
    [folder] = mirrors(places().mirrors)
    state = State(folder)
    for path in paths:
        state.troubles.note(Trouble(path=path, kind="failed", reason="why"))
    state.close()


def test_a_retry_is_noted_with_how_many_files_it_is_about(cli, pushed):
    assert "noted: 0 files are tried at the next watch or push\n" in cli("retry").out
    spoil("a.jpg")
    assert "noted: 1 file is tried at the next watch or push\n" in cli("retry").out


def test_no_sweep_begins_where_nothing_runs(cli, pushed):
    said = cli("sweep").out
    assert "noted: the next watch or push compares with all the remote holds\n" in said
    assert "begun" not in said


def test_what_was_not_paused_is_not_resumed(cli, pushed):
    assert cli("resume").out.endswith(": is not paused\n")
    cli("pause")
    assert cli("resume").out.endswith(": resumed; the next watch or push acts on it\n")


def test_a_pause_says_when_it_ends_and_so_does_the_status(cli, pushed):
    sentence = cli("pause", "--for", "1h").out.partition(": ")[2].strip()
    said = re.fullmatch(
        r"paused until .*(\d\d:\d\d, or until syncd resume; what changes is noted)", sentence
    )
    assert said
    same = rf"paused until .*{said[1]}"  # the date is named as well where it is not today's
    assert re.search(rf"^  {same}$", cli("status").out, re.MULTILINE)
    [mirror] = cli("status", "--json").json["mirrors"]
    assert mirror["state"] == "paused"
    assert re.fullmatch(same, mirror["reason"])


def test_a_pause_that_is_over_stops_no_push(cli, pushed, name):
    cli("pause", "--for", "0.01s")
    time.sleep(0.02)
    cli("push", pushed, "--to", name)
    assert cli("status", "--json").json["mirrors"][0]["state"] == "stopped"


def test_two_mirrors_of_one_folder_are_told_apart(cli, pushed, name):
    assert len(cli("history", "--limit", "1").out.split()) == 5, "one mirror needs no dataset"
    cli("push", pushed, "--to", "other")
    assert sorted(cli("resume").out.splitlines()) == [
        f"{pushed} -> {dataset}: is not paused" for dataset in sorted([name, "other"])
    ]
    said = cli("resume", "--json").lines
    assert {(one["root"], one["dataset"]) for one in said} == {
        (str(pushed), name), (str(pushed), "other"),
    }  # fmt: skip
    lines = [line.split() for line in cli("history", pushed / "a.jpg").out.splitlines()]
    assert [line[1:4] for line in lines] == [
        ["other", "stored", "a.jpg"],
        [name, "stored", "a.jpg"],
    ]
