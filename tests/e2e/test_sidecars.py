"""Sidecars beside pictures, with the program, its daemon and a real hub."""

from __future__ import annotations

import shutil

from syncd.annotation.sidecar import render
from tests.e2e.program import eventually
from tests.engine.annotated import sidecar


def picture(seed: object) -> bytes:
    return f"\xff\xd8{seed}".encode("latin-1").ljust(3000, b".")


def says(shelf):
    """The labels the hub has: by key, by operation."""
    with shelf.open() as dataset:
        return {
            item.key: {some.operation: [one.label for one in some.annotations] for some in sets}
            for item, sets in dataset.annotations(list(dataset.items()))
            if sets
        }


def becomes(shelf, expected):
    def same():
        found = says(shelf)
        assert found == expected
        return True

    eventually(same)


def shown(shelf, key):
    """As a mount shows it."""
    with shelf.open() as dataset:
        ((item, sets),) = dataset.annotations([dataset.find(key)])
    return render(item, sets)


def test_dropped_changed_renamed_and_deleted(root, watched, shelf):
    own = "folder:inbox"
    (root / "early.jpg").write_bytes(picture("early"))
    (root / "early.jpg.json").write_bytes(sidecar("cat"))
    running = watched()
    becomes(shelf, {"early.jpg": {own: ["cat"]}})

    (root / "late.jpg.json").write_bytes(sidecar("dog", operation="project 7"))
    (root / "late.jpg").write_bytes(picture("late"))
    becomes(shelf, {"early.jpg": {own: ["cat"]}, "late.jpg": {"project 7": ["dog"]}})

    draft = root / "early.jpg.json.tmp"
    draft.write_bytes(sidecar("lion", "cub"))
    draft.replace(root / "early.jpg.json")
    becomes(shelf, {"early.jpg": {own: ["lion", "cub"]}, "late.jpg": {"project 7": ["dog"]}})

    (root / "trip").mkdir()
    for name in ("late.jpg", "late.jpg.json"):
        (root / name).rename(root / "trip" / name)
    expected = {"early.jpg": {own: ["lion", "cub"]}, "trip/late.jpg": {"project 7": ["dog"]}}
    becomes(shelf, expected)

    (root / "early.jpg.json").write_text("{")
    running.kill()
    (root / "early.jpg.json").unlink()
    copy = shown(shelf, "trip/late.jpg")
    (root / "trip" / "late.jpg.json").write_bytes(copy)
    watched()
    becomes(shelf, {"trip/late.jpg": {"project 7": ["dog"]}})
    assert set(shelf.items()) == {"early.jpg", "trip/late.jpg"}


def test_a_push_sets_reports_and_counts(syncd, root, name, shelf):
    for number in range(3):
        (root / f"{number}.jpg").write_bytes(picture(number))
    (root / "0.jpg.json").write_bytes(sidecar("cat"))
    (root / "1.jpg.json").write_bytes(b'{"camera": "north"}')
    (root / "2.jpg.json").write_bytes(b'{"images": [{"image": "2.jpg", "annotations": [7]}]}')
    done = syncd("push", root, "--to", name, "--json", code=1).json
    assert (done["attempted"], done["uploaded"], done["ignored"]) == (4, 3, 1)
    assert [failed["path"] for failed in done["failed"]] == ["2.jpg.json"]
    assert "/images/0/annotations/0" in done["failed"][0]["reason"]
    (told,) = syncd("status", "--json").json["mirrors"]
    assert [failed["path"] for failed in told["failed"]] == ["2.jpg.json"]
    assert told["ignored"] == {"extension .json": 1}
    assert syncd("status", root / "0.jpg.json", "--json").json["reason"] == "annotations set"
    assert syncd("status", root / "2.jpg.json", "--json", code=1).json["safe"] is False

    shutil.copy(root / "0.jpg.json", root / "2.jpg.json")
    (root / "0.jpg.json").unlink()
    done = syncd("push", root, "--to", name, "--json").json
    assert (done["uploaded"], done["skipped"], done["ignored"]) == (0, 3, 1)
    assert says(shelf) == {n: {"folder:inbox": ["cat"]} for n in ("0.jpg", "2.jpg")}
