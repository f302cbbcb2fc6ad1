"""A watched folder and its dataset: whatever happens to files arrives, once and whole."""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import time

from tests.e2e.program import eventually


def picture(seed: object, size: int = 3000) -> bytes:
    return f"\xff\xd8{seed}".encode("latin-1").ljust(size, b".")


def test_files_and_trees_appear_and_keep_up(root, tmp_path, watched, shelf):
    (root / "before.jpg").write_bytes(picture("before"))
    watched()
    expected = {"before.jpg": picture("before")}
    shelf.becomes(expected)

    (root / "dropped.jpg").write_bytes(picture("dropped"))
    expected["dropped.jpg"] = picture("dropped")
    first = shelf.becomes(expected)

    fresh = root / "dropped.jpg.tmp"
    fresh.write_bytes(picture("anew"))
    fresh.replace(root / "dropped.jpg")
    expected["dropped.jpg"] = picture("anew")
    second = shelf.becomes(expected)
    assert second["dropped.jpg"].id == first["dropped.jpg"].id

    tree = tmp_path / "outside" / "trip"
    for number in range(20):
        (tree / f"day{number % 3}" / "raw").mkdir(parents=True, exist_ok=True)
        (tree / f"day{number % 3}" / "raw" / f"{number}.png").write_bytes(picture(number))
        expected[f"copied/{number}.png"] = expected[f"moved/{number}.png"] = picture(number)
    shutil.copytree(tree, root / "copied")
    tree.rename(root / "moved")
    shelf.becomes(expected)


def test_moves_keep_the_item_and_send_nothing(root, tmp_path, watched, shelf):
    big = picture("big", 2_000_000)
    (root / "old").mkdir()
    for number in range(5):
        (root / "old" / f"{number}.jpg").write_bytes(picture(number))
    (root / "big.jpg").write_bytes(big)
    watched()
    pictures = {f"{n}.jpg": picture(n) for n in range(5)}
    before = shelf.becomes({"big.jpg": big} | {f"old/{n}": c for n, c in pictures.items()})

    (root / "old").rename(root / "new")
    expected = {f"new/{n}": c for n, c in pictures.items()}
    shelf.becomes({"big.jpg": big} | expected)
    (root / "big.jpg").rename(root / "new" / "huge.jpg")
    expected["new/huge.jpg"] = big
    after = shelf.becomes(expected)
    assert after["new/huge.jpg"].id == before["big.jpg"].id
    assert all(after[f"new/{n}"].id == before[f"old/{n}"].id for n in pictures)
    assert shelf.trashed() == set()

    (root / "new" / "huge.jpg").rename(tmp_path / "outside.jpg")
    (root / "new" / "0.jpg").unlink()
    shelf.becomes({f"new/{n}": c for n, c in pictures.items() if n != "0.jpg"})
    assert shelf.trashed() == {"new/huge.jpg", "new/0.jpg"}

    (tmp_path / "outside.jpg").rename(root / "new" / "huge.jpg")
    expected.pop("new/0.jpg")
    shelf.becomes(expected)


def test_a_file_that_is_being_written_arrives_once_and_whole(root, watched, shelf):
    running = watched()
    whole = b""
    with (root / "slow.mp4").open("wb") as file:
        for number in range(15):
            chunk = picture(number, 10_000)
            whole += chunk
            file.write(chunk)
            file.flush()
            time.sleep(0.2)  # the pace of the writer
            assert shelf.digests() == {}, "it was sent while it was written"
    shelf.becomes({"slow.mp4": whole})
    running.until("1 stored")
    assert "2 stored" not in running.stop()


def test_what_is_written_through_a_mapping_arrives(root, watched, shelf):
    watched()
    path = root / "mapped.png"
    with path.open("w+b") as file:
        file.truncate(1 << 20)
        mapping = mmap.mmap(file.fileno(), 1 << 20)
    for number in range(10):
        mapping[number * 4096 : number * 4096 + 5] = b"page%d" % number
        time.sleep(0.1)  # the pace of the writer
    content = mapping[:]
    mapping.close()
    shelf.becomes({"mapped.png": content})


def test_odd_names_are_carried_exactly_or_reported(root, syncd, watched, shelf):
    names = [
        "new\nline.jpg",
        "\N{CAMERA}\N{VARIATION SELECTOR-16} party.jpg",
        "caf\u00e9.jpg",
        "cafe\u0301.jpg",
        "Twin.jpg",
        "twin.jpg",
        "x" * 251 + ".jpg",
        " spaces .jpg",
        "-rf.jpg",
        "quote'\"\\.jpg",
        "tab\tand\x1b[31mred.jpg",
    ]
    for name in names:
        (root / name).write_bytes(picture(name.encode()))
    raw = os.fsencode(root) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:
        file.write(picture("latin"))
    watched()
    expected = {name: picture(name.encode()) for name in names}
    shelf.becomes(expected)

    eventually(lambda: syncd("status", "--json").json["mirrors"][0]["failed"])
    mirror = syncd("status", "--json").json["mirrors"][0]
    assert [os.fsencode(f["path"]) for f in mirror["failed"]] == [b"caf\\xe9.jpg"]
    assert "rename it" in mirror["failed"][0]["reason"]
    told = syncd("status").out
    assert "\x1b" not in told
    assert "caf\\xe9.jpg" in told
    late = "lat\ner.jpg"
    (root / late).write_bytes(picture("late"))
    shelf.becomes(expected | {late: picture("late")})
    assert syncd("status", root / late).out.startswith(str(root) + "/lat\\ner.jpg: safe")


def test_only_regular_files_within_the_root_are_opened(root, tmp_path, watched, shelf):
    (tmp_path / "secret.jpg").write_bytes(picture("secret"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.jpg").write_bytes(picture("far"))

    def mean(prefix: str) -> None:
        os.mkfifo(root / f"{prefix}fifo.jpg")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{root}/{prefix}s.jpg")
        (root / f"{prefix}leads-out.jpg").symlink_to(tmp_path / "secret.jpg")
        (root / f"{prefix}loop.jpg").symlink_to(f"{prefix}loop.jpg")
        (root / f"{prefix}folder").symlink_to(tmp_path / "elsewhere")

    mean("early-")
    watched()
    mean("late-")
    (root / "honest.jpg").write_bytes(picture("honest"))
    shelf.becomes({"honest.jpg": picture("honest")})


def test_hidden_partial_and_foreign_files_stay(root, syncd, watched, shelf):
    (root / ".syncdignore").write_text("private/\n*.gif\n")
    for path in (".hidden.jpg", "a.jpg.part", "b.crdownload", "c.jpg~", "notes.txt", "x.gif"):
        (root / path).write_bytes(picture(path))
    (root / "private").mkdir()
    (root / "private" / "p.jpg").write_bytes(picture("p"))
    watched()
    (root / "a.jpg.part").rename(root / "a.jpg")
    shelf.becomes({"a.jpg": picture("a.jpg.part")})
    (root / ".syncdignore").write_text("*.gif\n")
    shelf.becomes({"a.jpg": picture("a.jpg.part"), "private/p.jpg": picture("p")})
    mirror = syncd("status", "--json").json["mirrors"][0]
    assert mirror["ignored"]["extension .txt"] == 1
    assert mirror["ignored"]["hidden"] == 1, "our own files are not the user's"
