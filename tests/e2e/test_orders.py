"""Orders to daemons: pause, resume, flush, log-level; and what can be asked: history, metrics."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from syncd.remotes.base import Upload
from tests.e2e.program import COMMAND, digest, eventually
from tests.e2e.test_watch import picture


def state_of(syncd):
    [mirror] = syncd("status", "--json").json["mirrors"]
    return mirror


def numbers(syncd):
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(syncd("metrics").out)
        for sample in family.samples
    }


def test_a_pause_survives_a_restart_and_loses_nothing(root, syncd, watched, shelf):
    running = watched()
    assert "paused" in syncd("pause", root).out
    (root / "a.jpg").write_bytes(picture("a"))
    eventually(lambda: state_of(syncd)["pending"] == 1)
    assert state_of(syncd)["state"] == "paused"
    running.stop()
    watched()
    eventually(lambda: state_of(syncd)["last_sweep"])
    assert state_of(syncd)["state"] == "paused"
    assert shelf.items() == {}
    assert "resumed" in syncd("resume").out
    shelf.becomes({"a.jpg": picture("a")})
    eventually(lambda: state_of(syncd)["state"] == "watching")


def test_a_pause_for_a_time_ends_by_itself(root, syncd, watched, shelf):
    watched()
    syncd("pause", "--for", "2s")
    (root / "a.jpg").write_bytes(picture("a"))
    shelf.becomes({"a.jpg": picture("a")})


def test_a_mirror_is_paused_without_its_daemon_and_push_says_so(root, syncd, watched, shelf):
    watched().stop()
    (root / "a.jpg").write_bytes(picture("a"))
    assert "paused until syncd resume; what changes is noted" in syncd("pause").out
    refused = syncd("push", root, "--to", shelf.name, code=1)
    assert "paused" in refused.err
    assert "syncd resume" in refused.err
    syncd("resume")
    syncd("push", root, "--to", shelf.name)
    shelf.becomes({"a.jpg": picture("a")})


def test_a_pause_breaks_off_a_big_upload_that_goes_on_later(root, syncd, watched, shelf):
    content = picture("big") + os.urandom(12_000_000)
    running = watched("--bandwidth", "500 kB/s")
    (root / "big.jpg").write_bytes(content)
    eventually(lambda: numbers(syncd).get("syncd_pending") == 1)
    time.sleep(1.0)
    syncd("pause")
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 10
    assert shelf.items() == {}
    syncd("resume")
    watched()
    shelf.becomes({"big.jpg": content})


@pytest.fixture
def forsaken(syncd, start_hub, tmp_path):
    """A folder that was pushed once, to a hub that is no more; its mirror is the first of all."""
    dying = start_hub()
    folder = tmp_path / "0"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture("a"))
    token = tmp_path / "token"
    token.write_text(dying.token)
    syncd("push", folder, "--to", "x", "--remote", dying.url, "--token-file", token)
    dying.kill()
    return folder


@pytest.mark.parametrize("running", [True, False], ids=["daemon", "none"])
def test_a_mirror_whose_remote_is_gone_stops_no_order_to_another(
    forsaken, root, syncd, watched, shelf, running
):
    for number in range(30):
        (root / f"{number}.jpg").write_bytes(picture(number))
    daemon = watched()
    eventually(lambda: len(shelf.items()) == 30)
    daemon.freeze()  # it sees all of them go at once, however long that takes
    for number in range(25):
        (root / f"{number}.jpg").unlink()
    daemon.thaw()

    def held():
        [mirror] = [m for m in syncd("status", "--json").json["mirrors"] if m["root"] == str(root)]
        return mirror["plan"]

    plan = eventually(held)
    if not running:
        daemon.stop()
    retried = syncd("retry", code=5)
    assert f"{root} -> {shelf.name}: " in retried.out
    assert str(forsaken) in retried.err
    replies = {reply["root"]: reply for reply in syncd("retry", "--json", code=5).lines}
    assert ("tried again" if running else "noted: ") in replies[str(root)]["said"]
    assert replies[str(forsaken)]["error"]
    wrong = syncd("approve", "000000000000", code=4).err
    assert "no plan" in wrong
    assert f"{forsaken} -> x could not be asked" in wrong
    approved = syncd("approve", plan, "--json").json
    when = "now" if running else "at the next watch"
    assert approved["root"] == str(root)
    assert approved["said"] == f"approved: the items of 25 files are removed {when}"
    if not running:
        watched()
    eventually(lambda: len(shelf.items()) == 5)


def test_a_mirror_whose_remote_never_answered_stops_no_order_to_another(root, syncd, tmp_path):
    (root / "a.jpg").write_bytes(picture("a"))
    never = tmp_path / "0"
    never.mkdir()
    (never / "a.jpg").write_bytes(picture("b"))
    wrong = tmp_path / "token"
    wrong.write_text("wrong")
    syncd("watch", never, "--to", "x", "--remote", syncd.extra["SYNCD_REMOTE"], "--token-file",
          wrong, code=7)  # fmt: skip
    syncd("push", root, "--to", "x")
    for order in ("retry", "sweep"):
        replies = {one["root"]: one for one in syncd(order, "--json", code=4).lines}
        assert "never begun" in replies[str(never)]["error"]
        assert replies[str(root)]["said"]


def test_a_token_is_not_shown_to_a_hub_that_it_is_not_for(root, syncd, tmp_path, start_hub):
    other, token = start_hub(), tmp_path / "token"
    token.write_text(other.token)
    (root / "a.jpg").write_bytes(picture("a"))
    syncd("push", root, "--to", "x")
    syncd("push", root, "--to", "y", "--remote", other.url, "--token-file", token)
    ways = {("retry",): "--remote says which", ("approve", "000000000000"): "--remote says which",
            ("resolve", root / "a.jpg", "--local"): "[remotes.NAME]"}  # fmt: skip
    for order, way in ways.items():
        said = syncd(*order, "--token-file", token, code=2).err
        assert "a token is for one hub" in said
        assert way in said
    said = syncd("retry", "--remote", other.url, "--token-file", token).out
    assert said.startswith(f"{root} -> y: noted: 0 files are tried at the next")


def test_flush_returns_when_all_is_stored(root, syncd, watched, shelf):
    watched()
    for number in range(20):
        (root / f"{number}.jpg").write_bytes(picture(number))
    settled = f"{root} -> {shelf.name}: all that was to be sent is settled\n"
    eventually(lambda: syncd("flush").out == settled and len(shelf.items()) == 20)
    (root / "0.jpg").write_bytes(picture("changed"))
    time.sleep(0.3)
    assert "settled" in syncd("flush").out
    assert shelf.content("0.jpg") == picture("changed")
    syncd("pause")
    assert "paused" in syncd("flush", code=5).err


def test_what_only_a_daemon_can_be_told_says_so(root, syncd, watched):
    watched().stop()
    for words in (["flush"], ["log-level", "debug"]):
        assert "no daemon runs" in syncd(*words, code=4).err
    assert syncd("metrics").out == ""


def test_history_tells_what_was_done_and_why_with_a_daemon_and_without(root, syncd, watched, shelf):
    running = watched()
    (root / "a.jpg").write_bytes(picture("a"))
    shelf.becomes({"a.jpg": picture("a")})
    (root / "a.jpg").rename(root / "b.jpg")
    shelf.becomes({"b.jpg": picture("a")})
    (root / "b.jpg").write_bytes(picture("b"))
    shelf.becomes({"b.jpg": picture("b")})
    (root / "b.jpg").unlink()
    shelf.becomes({})
    wanted = [("b.jpg", "removed", "gone here"), ("b.jpg", "stored", "changed here"),
              ("b.jpg", "moved", "moved from a.jpg"), ("a.jpg", "stored", "new here")]  # fmt: skip

    def told():
        return [(d["path"], d["verb"], d["reason"]) for d in syncd("history", "--json").lines]

    eventually(lambda: told() == wanted)
    running.stop()
    assert told() == wanted
    assert len(syncd("history", root / "a.jpg").out.splitlines()) == 1
    assert len(syncd("history", root, "--limit", "2").out.splitlines()) == 2
    assert "moved from a.jpg" in syncd("history", root / "b.jpg").out
    assert "no mirrored folder" in syncd("history", root.parent, code=4).err


def test_the_numbers_are_those_of_what_happened(root, syncd, watched, shelf):
    watched()
    for number in range(3):
        (root / f"{number}.jpg").write_bytes(picture(number))
    shelf.becomes({f"{number}.jpg": picture(number) for number in range(3)})
    found = eventually(lambda: (n := numbers(syncd)).get("syncd_pending") == 0 and n)
    assert found["syncd_stored_total"] == 3
    assert found["syncd_stored_bytes_total"] == sum(len(picture(n)) for n in range(3))
    assert found["syncd_paused"] == found["syncd_away"] == found["syncd_troubled"] == 0
    assert found["syncd_sweep_age_seconds"] < 60


def test_the_log_level_is_changed_while_it_runs(root, syncd, watched, shelf):
    running = watched()
    assert "warning" in syncd("log-level").out
    assert "debug" in syncd("log-level", "debug").out
    (root / "a.jpg").write_bytes(picture("a"))
    running.until("stored path=")
    assert "no level" in syncd("log-level", "loud", code=2).err


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
def test_status_is_shown_again_and_again_until_stopped(root, syncd, watched, options):
    watched()
    showing = syncd.start("status", "--watch", *options)
    eventually(lambda: showing.said.count(str(root)) >= 3)
    showing.kill()


def test_outside_of_its_hours_a_mirror_notes_and_sends_nothing(root, syncd, watched, shelf, home):
    config = home / "config" / "syncd" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    hour = time.localtime(time.time() + 12 * 3600).tm_hour
    config.write_text(f'[mirror]\nactive_hours = "{hour:02}:00-{hour:02}:30"\n')
    running = watched()
    (root / "a.jpg").write_bytes(picture("a"))
    eventually(lambda: state_of(syncd)["pending"] == 1)
    told = state_of(syncd)
    assert told["state"] == "resting"
    assert f"{hour:02}:00-{hour:02}:30" in told["reason"]
    assert shelf.items() == {}
    running.stop()
    config.write_text('[mirror]\nactive_hours = "00:00-24:00"\n')
    watched()
    shelf.becomes({"a.jpg": picture("a")})
    assert state_of(syncd)["state"] == "watching"


@pytest.mark.parametrize("options", [(), ("--watch",)], ids=["once", "live"])
def test_on_a_terminal_the_status_is_a_table(root, syncd, watched, shelf, options):
    watched()
    (root / "a.jpg").write_bytes(picture("a"))
    shelf.becomes({"a.jpg": picture("a")})
    (Path(os.environ["XDG_STATE_HOME"]) / "syncd" / "mount.log").write_text("a line\n")
    ours, theirs = pty.openpty()
    showing = subprocess.Popen(
        [*COMMAND, "status", *options], stdout=theirs,
        env={**os.environ, **syncd.extra, "COLUMNS": "200", "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    said = ""

    def read():
        nonlocal said
        said += os.read(ours, 1 << 16).decode()
        words = ("FOLDER", "SYNCED", "watching", str(root), "KiB", "mount.log: 7 B (at most 8 MiB)")
        return all(word in said for word in words)

    try:
        eventually(read)
    finally:
        showing.kill()
        showing.wait()
        os.close(ours)


def test_what_a_person_decides_is_history_too(root, syncd, watched, shelf):
    (root / "a.jpg").write_bytes(picture("ours"))
    (root / "b.jpg").write_bytes(picture("b"))
    with shelf.open() as dataset:
        theirs = root.parent / "theirs.jpg"
        theirs.write_bytes(picture("theirs"))
        content = theirs.read_bytes()
        dataset.put([Upload(key="a.jpg", digest=digest(content), size=len(content), file=theirs,
                            content=content, modified_ns=1, expect=None)])  # fmt: skip
    watched("--on-delete", "keep")
    eventually(lambda: state_of(syncd)["conflicts"] and len(shelf.items()) == 2)
    syncd("resolve", root / "a.jpg", "--local")
    (root / "b.jpg").unlink()
    wanted = [
        ("a.jpg", "conflict", "the name is taken by other content"),
        ("a.jpg", "resolved", "by a person: local"),
        ("b.jpg", "forgotten", "gone here, kept at the remote"),
    ]

    def told():
        deeds = [(d["path"], d["verb"], d["reason"]) for d in syncd("history", "--json").lines]
        return [deed for deed in wanted if deed in deeds] == wanted

    eventually(told)
