"""Two who change one thing: nothing is overwritten, status lists it, a person settles it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from syncd.config.places import places
from syncd.engine import opening
from syncd.remotes.base import Removal, Upload
from tests.e2e.program import digest, eventually
from tests.e2e.test_watch import picture


def put(shelf, key: str, content: bytes) -> None:
    """Another machine stores something under this key, in place of what is there."""
    with shelf.open() as dataset:
        item = dataset.find(key)
        upload = Upload(
            key=key, digest=digest(content), size=len(content), file=Path(), content=content,
            modified_ns=1, expect=item.version if item else None,
            item_id=item.id if item else None,
        )  # fmt: skip
        (outcome,) = dataset.put([upload])
        assert outcome.error is None


def trash(shelf, key: str) -> None:
    with shelf.open() as dataset:
        item = dataset.find(key)
        dataset.remove([Removal(item_id=item.id, expect=item.version, key=key)])


@pytest.fixture
def contested(root, syncd, watched, shelf):
    """Both sides changed `a.jpg` while the daemon could not see either."""
    (root / "a.jpg").write_bytes(picture("first"))
    running = watched()
    shelf.becomes({"a.jpg": picture("first")})
    running.stop()
    (root / "a.jpg").write_bytes(picture("local"))
    put(shelf, "a.jpg", picture("remote"))
    watched()

    def listed():
        mirror = syncd("status", "--json").json["mirrors"][0]
        assert [c["path"] for c in mirror["conflicts"]] == ["a.jpg"], mirror
        return mirror

    mirror = eventually(listed)
    assert set(mirror["conflicts"][0]) == {"path", "reason"}
    shelf.becomes({"a.jpg": picture("remote")})
    assert (root / "a.jpg").read_bytes() == picture("local")
    return root / "a.jpg"


def test_the_local_file_is_right(contested, syncd, shelf):
    assert syncd("status", contested, code=1).out.startswith(f"{contested}: not safe: conflict")
    told = json.loads(syncd("status", contested, "--json", code=1).out)
    assert (told["safe"], told["sha256"]) == (False, digest(picture("first")))
    said = syncd("resolve", contested, "--local", "--json").json
    assert (said["path"], said["choice"]) == (str(contested), "local")
    shelf.becomes({"a.jpg": picture("local")})
    eventually(lambda: "safe: stored" in syncd("status", contested).out)


def test_the_remote_item_is_right(contested, syncd, shelf):
    syncd("resolve", contested, "--remote")
    eventually(lambda: contested.read_bytes() == picture("remote"))
    shelf.becomes({"a.jpg": picture("remote")})
    eventually(lambda: syncd("status", contested, "--json").json["safe"])
    assert not syncd("status", "--json").json["mirrors"][0]["conflicts"]


def test_both_are_right(contested, syncd, shelf):
    syncd("resolve", contested, "--both")

    def both():
        found = shelf.digests()
        assert set(found.values()) == {digest(picture("local")), digest(picture("remote"))}
        return found

    assert eventually(both)["a.jpg"] == digest(picture("remote"))
    assert contested.read_bytes() == picture("local")


def test_it_is_settled_without_a_daemon_too(root, syncd, watched, shelf, name):
    (root / "a.jpg").write_bytes(picture("first"))
    running = watched()
    shelf.becomes({"a.jpg": picture("first")})
    running.stop()
    (root / "a.jpg").write_bytes(picture("local"))
    put(shelf, "a.jpg", picture("remote"))
    refused = syncd("push", root, "--to", name, code=1)
    assert "a.jpg:" in refused.err
    assert "the next watch or push" in syncd("resolve", root / "a.jpg", "--local").out
    syncd("push", root, "--to", name)
    shelf.becomes({"a.jpg": picture("local")})
    (root / "a.jpg").write_bytes(picture("later"))
    put(shelf, "a.jpg", picture("remote once more"))
    syncd("push", root, "--to", name, code=1)
    assert "content was taken" in syncd("resolve", root / "a.jpg", "--remote").out
    assert (root / "a.jpg").read_bytes() == picture("remote once more")
    assert not list(root.glob(".syncd-part*"))


def test_what_somebody_trashed_is_held_and_heals_when_restored(root, syncd, watched, shelf, name):
    for letter in "abcd":
        (root / f"{letter}.jpg").write_bytes(picture(letter))
    watched()
    pictures = {f"{letter}.jpg": picture(letter) for letter in "abcd"}
    shelf.becomes(pictures)
    trash(shelf, "a.jpg")

    def held():
        mirror = syncd("status", "--json").json["mirrors"][0]
        assert [entry["path"] for entry in mirror["held"]] == ["a.jpg"], mirror
        return mirror

    eventually(held)
    told = syncd("status", root / "a.jpg", code=1).out
    assert "not safe: held" in told
    shelf.becomes({k: v for k, v in pictures.items() if k != "a.jpg"})
    syncd("trash", "restore", name, "a.jpg")
    shelf.becomes(pictures)
    eventually(lambda: not syncd("status", "--json").json["mirrors"][0]["held"])
    assert "safe: stored" in syncd("status", root / "a.jpg").out


def test_two_machines_feed_one_dataset(tmp_path, syncd, shelf, name):
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        (tmp_path / machine / "IMG_1.jpg").write_bytes(picture(machine))
        (tmp_path / machine / "same.jpg").write_bytes(picture("same"))
    syncd("push", tmp_path / "one", "--to", name)
    kept = syncd("push", tmp_path / "two", "--to", name, "--json", code=1).json
    assert [failure["path"] for failure in kept["failed"]] == ["IMG_1.jpg"]
    assert (kept["uploaded"], kept["skipped"]) == (0, 1)
    told = syncd("push", tmp_path / "two", "--to", name, code=1)
    assert "--on-conflict suffix" in told.err, "it names the way out"
    syncd("push", tmp_path / "two", "--to", name, "--on-conflict", "suffix", "--source", "cam2")
    shelf.becomes({
        "IMG_1.jpg": picture("one"), "IMG_1~cam2.jpg": picture("two"), "same.jpg": picture("same"),
    })  # fmt: skip
    again = syncd("push", tmp_path / "two", "--to", name, "--on-conflict", "suffix", "--source",
                  "cam2", "--json").json  # fmt: skip
    assert (again["uploaded"], again["skipped"]) == (0, 2)


@pytest.fixture
def taken(root, shelf, name):
    """A push of this folder meets another picture under its name."""
    put(shelf, "a.jpg", picture("theirs"))
    (root / "a.jpg").write_bytes(picture("ours"))
    return ("push", root, "--to", name)


def test_without_the_state_what_a_person_had_stored_beside_is_found(taken, root, syncd, shelf):
    syncd(*taken, code=1)
    syncd("resolve", root / "a.jpg", "--both")
    assert syncd(*taken, "--json").json["uploaded"] == 1
    stored = {"a.jpg": picture("theirs"), f"a~{opening.machine()}.jpg": picture("ours")}
    shelf.becomes(stored)
    shutil.rmtree(places().mirrors)
    again = syncd(*taken, "--json").json
    assert (again["uploaded"], again["skipped"], again["failed"]) == (0, 1, [])
    shelf.becomes(stored)
    assert "safe: stored" in syncd("status", root / "a.jpg").out


@pytest.mark.parametrize(
    "words", [(), ("--on-conflict", "suffix"), ("--on-conflict", "suffix", "--source", "lab3")]
)
def test_nor_is_the_name_of_the_source_needed_for_that(taken, root, syncd, shelf, words):
    syncd(*taken, "--on-conflict", "suffix", "--source", "lab2")
    stored = {"a.jpg": picture("theirs"), "a~lab2.jpg": picture("ours")}
    shelf.becomes(stored)
    shutil.rmtree(places().mirrors)
    again = syncd(*taken, *words, "--json").json
    assert (again["uploaded"], again["skipped"], again["failed"]) == (0, 1, [])
    shelf.becomes(stored)
