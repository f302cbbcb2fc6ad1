"""config, doctor, status, hub: how things are set up, and whether that is told well."""

from __future__ import annotations

import json
import os

import pytest

from syncd.config.places import places
from syncd.daemon import machine
from syncd.state.report import mirrors
from syncd.state.store import State
from syncd.state.troubles import Trouble


@pytest.fixture
def configure(home):
    """`configure(text)`: make it this user's configuration."""

    def write(text: str) -> None:
        folder = home / "config" / "syncd"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(text)

    return write


def test_config_prints_what_holds(cli, home, configure, monkeypatch):
    told = cli("config", "--json").json
    assert told["config_file"] == str(home / "config" / "syncd" / "config.toml")
    assert (told["remote"], told["mirror.layout"], told["mirror.on_delete"]) == (
        "hub", "first-level", "trash",
    )  # fmt: skip
    configure('remote = "nas"\n[remotes.nas]\nurl = "http://nas:1"\ntoken = { env = "T" }\n'
              '[mirror]\nlayout = "tree"\nextensions = [".raw"]\n')  # fmt: skip
    monkeypatch.setenv("T", "secret")
    monkeypatch.setenv("SYNCD_TOKEN", "secret")
    said = cli("config")
    assert "mirror.layout" in said.out
    assert "tree" in said.out
    assert ".raw" in said.out
    assert "http://nas:1" in said.out
    assert "None" not in said.out
    assert "secret" not in said.out + cli("config", "--json").out


def test_a_configuration_with_faults_is_refused_by_every_command(cli, configure, photos):
    configure('remot = "x"\n[mirror]\nlayout = "flatt"\n[hub]\nport = "a"\n')
    for args in (["ls"], ["push", photos, "--to", "x"], ["watch", photos], ["config"], ["hub"]):
        said = cli(*args, code=3)
        for fault in ("did you mean remote?", "mirror.layout must be", "hub.port must be"):
            assert fault in said.err
        assert len(said.err.splitlines()) == 1
    checks = {check["check"]: check for check in cli("doctor", "--json", code=1).json}
    assert checks["config"]["ok"] is False
    assert "did you mean remote?" in checks["config"]["detail"]


def test_the_configuration_rules_where_the_call_says_nothing(cli, shelf, name, photos, configure):
    configure('[mirror]\nlayout = "flat"\nextensions = ["TXT"]\n'
              'ignore = ["home/"]\n')  # fmt: skip
    cli("push", photos, "--to", name)
    assert set(shelf.items()) == {"notes.txt"}
    cli("push", photos, "--to", name, "--preserve-folders", "--extension", ".jpg")
    assert set(shelf.items()) == {"a.jpg", "notes.txt", "trip/day1/c.jpg", "trip/day2/c.jpg"}


def test_a_remote_by_name(cli, hub, name, photos, configure, monkeypatch, tmp_path):
    (tmp_path / "token").write_text(hub.token)
    configure(f'[remotes.nas]\nurl = "{hub.url}"\ntoken = {{ file = "{tmp_path}/token" }}\n')
    cli("push", photos, "--to", name, "--remote", "nas")
    assert cli("status", "--json").json["mirrors"][0]["remote"] == "nas"
    monkeypatch.setenv("SYNCD_REMOTE", "nas")
    assert len(cli("ls", name, "--json").lines) == 6
    assert "(known: hub, nas)" in cli("ls", "--remote", "other", code=3).err


def test_doctor_finds_all_well_and_says_what_mends_what_is_not(cli, shared, monkeypatch):
    found = cli("doctor", "--json").json
    assert [list(check) for check in found] == [["check", "ok", "detail", "mend"]] * len(found)
    assert all(check["ok"] for check in found)
    assert {"python", "config", "space", "remote"} <= {check["check"] for check in found}
    monkeypatch.setenv("SYNCD_TOKEN", "wrong")
    monkeypatch.setattr(machine, "WATCHES", 1 << 40)
    said = cli("doctor", code=1)
    assert "syncd doctor --remote http:" in said.out
    assert "to mend inotify: printf '%s\\n' fs.inotify.max_user_watches=" in said.out
    assert "NOT OK" in said.out


def test_status_tells_a_beginner_what_to_do(cli):
    assert cli("status").out == "no folder is mirrored yet: syncd watch FOLDER\n"
    assert cli("status", "--json").json == {"mirrors": [], "space": []}
    for command in ("retry", "sweep"):
        assert "no folder is mirrored yet" in cli(command, code=4).err


def test_status_of_the_contract(cli, shared, name, photos):
    cli("push", photos, "--to", name)
    (mirror,) = cli("status", "--json").json["mirrors"]
    contract = {
        "name": str, "root": str, "dataset": str, "remote": str, "state": str, "reason": str,
        "synced": int, "pending": int, "failed": list, "conflicts": list, "last_sweep": str,
    }  # fmt: skip
    assert {field: type(mirror[field]) for field in contract} == contract
    assert (mirror["name"], mirror["root"]) == ("photos", str(photos))
    assert (mirror["state"], mirror["synced"], mirror["pending"]) == ("stopped", 6, 0)
    assert mirror["ignored"] == {"extension .txt": 1, "hidden": 1}
    told = cli("status").out.splitlines()
    assert told[0] == f"{photos} -> {name}"
    assert "6 synced, 0 pending, 1 renamed" in told[2]


def test_a_failed_file_is_told_with_the_time_of_its_next_try(cli, shared, name, photos):
    cli("push", photos, "--to", name)
    [folder] = mirrors(places().mirrors)
    state = State(folder)
    state.troubles.note(
        Trouble(path="a.jpg", kind="failed", reason="cannot be read", retry_ns=17 * 10**17)
    )
    state.close()
    [mirror] = cli("status", "--json").json["mirrors"]
    assert mirror["failed"] == [
        {"path": "a.jpg", "reason": "cannot be read", "retry_at": "2023-11-14T22:13:20Z"}
    ]


def test_conflicts_are_told_with_the_way_out(cli, shared, name, photos):
    cli("push", photos, "--to", name)
    assert "to settle" not in cli("status").out
    [folder] = mirrors(places().mirrors)
    taken = "the name is taken by other content"
    way_out = "  to settle one: syncd resolve PATH --local|--remote|--both\n"
    for path, number in (("a.jpg", " 1 conflict, "), ("trip/b.png", " 2 conflicts, ")):
        state = State(folder)
        state.troubles.note(Trouble(path=path, kind="conflict", reason=taken))
        state.close()
        said = cli("status").out
        assert number in said
        assert f"  conflict: {path}: {taken}\n{way_out}" in said


def test_mirrors_of_one_remote_are_asked_for_by_any_of_its_spellings(
    cli, configure, shared, name, photos
):
    cli("push", photos, "--to", name, "--remote", shared.url + "/")
    configure(f'[remotes.lab]\nurl = "{shared.url}"\n[remotes.far]\nurl = "https://far"\n')
    for spelling in (shared.url, shared.url + "/", "lab"):
        told = cli("status", "--json", "--remote", spelling).json
        assert [mirror["root"] for mirror in told["mirrors"]] == [str(photos)], spelling
        assert cli("status", photos / "a.jpg", "--json", "--remote", spelling).json["safe"]
    for other in ("far", "https://far/", "hub"):
        assert cli("status", "--json", "--remote", other).json["mirrors"] == []
        assert "no mirror" in cli("status", photos / "a.jpg", "--remote", other, code=4).err
        assert "no folder" in cli("sweep", "--remote", other, code=4).err
    for words in (["status"], ["status", photos / "a.jpg"], ["sweep"], ["approve", "x"]):
        assert "no remote 'nowhere'" in cli(*words, "--remote", "nowhere", code=3).err


def test_status_of_one_file(cli, shared, name, photos, monkeypatch):
    cli("push", photos, "--to", name)
    told = cli("status", photos / "trip" / "day2" / "c.jpg", "--json").json
    assert list(told) == ["path", "root", "dataset", "safe", "key", "sha256", "since", "reason"]
    assert (told["safe"], told["key"]) == (True, "trip/c~day2.jpg")
    monkeypatch.chdir(photos / "trip")
    assert cli("status", "b.png").out.startswith("b.png: safe: stored")
    os.mkfifo(photos / "pipe.jpg")
    (photos / "out.jpg").symlink_to(photos.parent / "other.jpg")
    (photos / "new.jpg").write_bytes(b"new")
    (photos / "trip" / ".syncdignore").write_text("*.webp\n")
    (photos / "trip" / "e.webp").write_bytes(b"new")
    for path, why in {
        "notes.txt": "left out: extension .txt", ".hidden.jpg": "left out: hidden",
        "pipe.jpg": "left out: not a file", "out.jpg": "left out: dangling link",
        "trip/e.webp": "left out: .syncdignore", "new.jpg": "not seen so far",
    }.items():  # fmt: skip
        assert f"not safe: {why}\n" in cli("status", photos / path, code=1).out
    assert "no mirror knows" in cli("status", photos / "none.jpg", code=4).err
    assert "is no mirrored folder" in cli("status", photos.parent, code=4).err


def test_a_mirrored_folder_that_is_not_there_is_told_as_such(cli, shared, name, photos):
    cli("push", photos, "--to", name)
    photos.rename(photos.with_name("aside"))
    for words in ([], [photos]):
        said = cli("status", *words).out
        assert f"{photos} -> {name}\n" in said
        assert "  stopped: no daemon watches this folder; the folder is not there\n" in said
    assert "not safe: gone here" in cli("status", photos / "a.jpg", code=1).out
    assert "no mirror knows" in cli("status", photos.with_name("none"), code=4).err


def test_a_file_that_changed_since_is_not_called_safe(cli, shared, name, photos):
    cli("push", photos, "--to", name)
    (photos / "a.jpg").write_bytes(b"changed since")
    said = cli("status", photos / "a.jpg", code=1)
    assert "not safe: changed since it was stored" in said.out
    (photos / "trip" / "b.png").unlink()
    assert "not safe: gone here" in cli("status", photos / "trip" / "b.png", code=1).out
    (photos / "new.jpg").write_bytes(b"new")
    assert "not safe" in cli("status", photos / "new.jpg", code=1).out


def test_the_page_is_entered_by_a_link(cli, shared):
    link = cli("open").out.strip()
    assert link.startswith(f"{shared.url}/enter?code=")
    assert json.dumps(link) != json.dumps(cli("open").out.strip()), "each is for one browser"


def test_a_state_folder_of_nobody_is_passed_over(cli, shared, home, name, photos):
    cli("push", photos, "--to", name)
    stray = home / "state" / "syncd" / "mirrors" / "stray"
    stray.mkdir()
    (stray / "lock").touch()
    (stray / "state.db").touch()  # killed before it was begun
    assert len(cli("status", "--json").json["mirrors"]) == 1


def test_config_prints_what_was_said_however_little_it_is(cli, home, configure, tmp_path):
    file = tmp_path / "other.toml"
    file.write_text(
        'remote = "nas"\n[remotes.nas]\nurl = "http://nas:1"\n'
        f'[[mirror]]\nroot = "{tmp_path}/a"\nhistory_days = 0\n'
        f'[[mount]]\npath = "{tmp_path}/b"\ndataset = "b"\nallow_other = false\n'
    )
    told = cli("config", "--config", file, "--json").json
    assert told["config_file"] == str(file)
    assert told["mirror 1.history_days"] == 0
    assert told["mount 1.allow_other"] is False
    assert told["remotes.nas"].startswith("http://nas:1 ")
    assert "mirror 1.bandwidth" not in told
    said = cli("config", "--config", file, "--remote", "http://me:hush@nas:1").out
    assert "http://nas:1\n" in said
    assert "hush" not in said
    assert "there is no such file" in cli("config", "--config", tmp_path / "none", code=3).err


def test_status_tells_what_lies_around_where_nothing_is_mirrored(cli, home):
    state = home / "state" / "syncd"
    state.mkdir(parents=True)
    (state / "mount.log").write_bytes(b"x" * 10)
    said = cli("status").out
    assert "no folder is mirrored yet" in said
    assert "mount.log: 10 B (at most 8 MiB)" in said


def test_status_of_a_folder_is_that_of_its_mirrors_alone(cli, photos, name, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for folder in (photos, other):
        cli("push", folder, "--to", name)
    (mirror,) = cli("status", photos, "--json").json["mirrors"]
    assert mirror["root"] == str(photos)
    assert "is no mirrored folder" in cli("status", photos / "trip", code=4).err


def test_a_name_that_cannot_be_carried_is_told_in_text_that_every_program_can_read(
    cli, photos, name
):
    path = photos / os.fsdecode(b"\xff.jpg")
    path.write_bytes(b"x")
    assert cli("push", photos, "--to", name, "--json", code=1).json["failed"][0]["path"] == (
        "\\xff.jpg"
    )
    told = cli("status", path, "--json", code=1)
    assert (told.json["path"], told.json["safe"]) == ("\\xff.jpg", False)
    assert "not UTF-8" in told.json["reason"]


def test_the_history_of_nothing_is_a_sentence(cli):
    assert cli("history", code=4).err == "syncd: no folder is mirrored yet\n"
