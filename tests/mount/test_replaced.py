"""Never a mix, never stale for ever: replaced, removed and new files under those who read."""

from __future__ import annotations

import errno
import mmap
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.remotes.base import Move
from tests.mount.mounted import content, until, whole

SIZE = 300_000
PAGES = 70_000
SEEN_S = 10.0
SLOW = """
import os, time
from syncd.mount.blocks.reader import Reader
read = Reader.read
def slow(self, item, offset, size):
    while item.key == "a/slow.jpg" and offset and not os.path.exists({go!r}):
        open({begun!r}, "w").close()
        time.sleep(0.02)
    return read(self, item, offset, size)
Reader.read = slow
"""


def test_a_holder_keeps_the_old_version_and_the_next_one_gets_the_new(mount, dataset):
    old, new = content(1, SIZE), content(2, SIZE)
    dataset.put({"a/b.jpg": old})
    mounted = mount()
    path = mounted / "a/b.jpg"
    number = path.stat().st_ino
    held = os.open(path, os.O_RDONLY)
    try:
        assert os.pread(held, 4096, 0) == old[:4096]  # page 0 is warm, the others are not
        with mmap.mmap(held, 0, prot=mmap.PROT_READ) as mapped:
            dataset.put({"a/b.jpg": new})
            begun = time.monotonic()
            until(lambda: whole(path)[:16] == new[:16], SEEN_S)
            assert time.monotonic() - begun < SEEN_S
            assert whole(path) == new
            assert whole(held) == old
            assert mapped[:] == old
            assert path.stat().st_ino != number
            assert os.fstat(held).st_ino == number
    finally:
        os.close(held)
    mounted.stop()


def test_a_slow_reader_keeps_the_old_version_and_holds_nobody_else_up(mount, dataset, tmp_path):
    old, new = content(1, SIZE), content(2, SIZE)
    dataset.put({"a/slow.jpg": old, "a/b.jpg": old, "gone.jpg": old})
    go, begun = tmp_path / "go", tmp_path / "begun"
    mounted = mount(before=SLOW.format(go=str(go), begun=str(begun)))
    assert [whole(mounted / key) for key in ("a/b.jpg", "gone.jpg")] == [old, old]
    with ThreadPoolExecutor(1) as reader, (mounted / "a/slow.jpg").open("rb") as held:
        read = reader.submit(whole, held.fileno())
        until(begun.exists)
        dataset.put({"a/slow.jpg": new, "a/b.jpg": new, "c/d.jpg": new})
        dataset.trash("gone.jpg")
        began = time.monotonic()
        until(lambda: not (mounted / "gone.jpg").exists(), SEEN_S)
        assert [whole(mounted / key) for key in ("a/b.jpg", "c/d.jpg")] == [new, new]
        assert (mounted / "a/slow.jpg").stat().st_ino == os.fstat(held.fileno()).st_ino
        dataset.put({"a/b.jpg": old})
        until(lambda: whole(mounted / "a/b.jpg") == old, SEEN_S)
        assert time.monotonic() - began < 2 * SEEN_S
        assert not read.done()
        go.touch()
        assert read.result() == old
        until(lambda: whole(mounted / "a/slow.jpg") == new, SEEN_S)
        assert whole(held.fileno()) == old
    mounted.stop()


def test_names_as_long_and_as_odd_as_they_can_be_are_replaced_and_removed(mount, dataset):
    parts = [
        "n" * 251 + ".jpg",
        "\u00fc" * 127,
        "a\nb",
        "'\"`$(x)",
        "-rf",
        "*",
        "\\",
        " x ",
        "\x7f",
    ]
    keys = [f"top/{part}" for part in parts] + [f"{part}/{part}" for part in parts[:3]]
    dataset.put(dict.fromkeys(keys, b"old"))
    mounted = mount()
    assert [whole(mounted / key) for key in keys] == [b"old"] * len(keys)
    dataset.put(dict.fromkeys(keys, b"newer"))
    until(lambda: all(reads(mounted / key, b"newer") for key in keys), SEEN_S)
    dataset.trash(*keys)
    until(lambda: os.listdir(mounted.point) == [], SEEN_S)
    mounted.stop()


def test_names_that_change_hands_are_told_whoever_is_heard_of_first(mount, dataset):
    """The later change of an item hides its earlier ones from who comes late."""
    dataset.put({"a.jpg": content(1, SIZE), "b.jpg": content(2, 100)})
    mounted = mount()
    assert whole(mounted / "a.jpg") == content(1, SIZE)
    a, b = dataset.items["a.jpg"], dataset.items["b.jpg"]
    mounted.process.send_signal(signal.SIGSTOP)
    dataset.put({"d.jpg": b"what the question under way is answered with"})
    for item, expect, key in ((a, 1, "c.jpg"), (b, 1, "a.jpg"), (a, 2, "b.jpg")):
        (moved,) = dataset.dataset.move([Move(item_id=item.id, expect=expect, key=key)])
        assert moved.error is None
    mounted.process.send_signal(signal.SIGCONT)
    until(lambda: reads(mounted / "a.jpg", content(2, 100)), SEEN_S)
    until(lambda: reads(mounted / "b.jpg", content(1, SIZE)), SEEN_S)
    mounted.stop()


def reads(path: Path, expected: bytes) -> bool:
    try:
        return whole(path) == expected
    except FileNotFoundError:  # between two moves
        return False


@pytest.mark.parametrize("size", [10, SIZE // 2, SIZE * 2])
def test_another_size_is_seen_whole_as_well(mount, dataset, size):
    dataset.put({"b.jpg": content(1, SIZE)})
    mounted = mount()
    with (mounted / "b.jpg").open("rb") as held:
        held.read(10)
        dataset.put({"b.jpg": content(2, size)})
        until(lambda: (mounted / "b.jpg").stat().st_size == size, SEEN_S)
        assert whole(mounted / "b.jpg") == content(2, size)
        assert whole(held.fileno()) == content(1, SIZE)
    mounted.stop()


def test_what_is_removed_is_gone_but_for_who_holds_it(mount, dataset):
    dataset.put({"a/b/c.jpg": content(1, SIZE), "d.jpg": b"stays"})
    mounted = mount()
    with (mounted / "a/b/c.jpg").open("rb") as held:
        held.read(10)
        dataset.trash("a/b/c.jpg")
        until(lambda: not (mounted / "a").exists(), SEEN_S)
        assert os.listdir(mounted.point) == ["d.jpg"]
        assert whole(held.fileno()) == content(1, SIZE)
    dataset.put({"a/b/c.jpg": content(2, SIZE)})
    until(lambda: (mounted / "a/b/c.jpg").exists(), SEEN_S)
    assert whole(mounted / "a/b/c.jpg") == content(2, SIZE)
    mounted.stop()


def test_what_is_new_is_seen_though_it_was_asked_for_before(mount, dataset):
    dataset.put({"a/b.jpg": b"x"})
    mounted = mount()
    assert not (mounted / "a/c.jpg").exists()
    before = (mounted / "a").stat().st_mtime_ns
    dataset.put({"a/c.jpg": b"y", "e/f.jpg": b"z"})
    until(lambda: (mounted / "a/c.jpg").exists(), SEEN_S)
    until(lambda: (mounted / "e/f.jpg").exists(), SEEN_S)
    assert sorted(os.listdir(mounted / "a")) == ["b.jpg", "c.jpg"]
    assert (mounted / "a").stat().st_mtime_ns > before
    mounted.stop()


def test_a_file_that_becomes_a_folder_and_a_file_again(mount, dataset):
    dataset.put({"a": b"a file"})
    mounted = mount()
    with (mounted / "a").open("rb") as held:
        dataset.put({"a/b": b"below"})
        until(lambda: (mounted / "a").is_dir(), SEEN_S)
        assert whole(mounted / "a/b") == b"below"
        assert whole(held.fileno()) == b"a file"
    dataset.trash("a/b")
    until(lambda: (mounted / "a").is_file(), SEEN_S)
    assert whole(mounted / "a") == b"a file"
    mounted.stop()


def test_nothing_can_be_changed_through_the_mount(mount, dataset):
    dataset.put({"a/b.jpg": b"content"})
    mounted = mount()
    path, folder = mounted / "a/b.jpg", mounted / "a"
    (folder / "not there").exists()
    for change in (
        lambda: (folder / "new").write_bytes(b""),
        lambda: (folder / "new").mkdir(),
        lambda: (folder / "new").symlink_to("b.jpg"),
        lambda: os.link(path, folder / "new"),
        lambda: os.mkfifo(folder / "new"),
        lambda: path.unlink(),
        lambda: path.rename(folder / "new"),
        lambda: path.rename(mounted / ".syncd-old/1"),
        lambda: (folder / "b.jpg").replace(mounted / "c.jpg"),
        lambda: folder.rmdir(),
        lambda: path.chmod(0o777),
        lambda: os.chown(path, 0, 1),
        lambda: os.utime(path),
        lambda: os.utime(folder),
        lambda: os.truncate(path, 0),
        lambda: path.write_bytes(b"other"),
        lambda: written(path),
    ):
        with pytest.raises(OSError) as refused:  # noqa: PT011 - the number is looked at
            change()
        # who is not root is kept from it by the rights already
        assert refused.value.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
    assert os.listdir(mounted.point) == ["a"]
    assert whole(path) == b"content"
    mounted.stop()


def written(path):
    held = os.open(path, os.O_WRONLY)
    try:
        os.write(held, b"other")
    finally:
        os.close(held)


def test_thousands_of_replacements_under_parallel_readers(mount, dataset):
    """Whoever opens a file reads one version from end to end, whatever comes meanwhile."""
    keys = [f"f{number % 3}/{number}.jpg" for number in range(12)]
    dataset.put({key: content(0, PAGES) for key in keys})
    mounted = mount()
    over, mixed, reads = threading.Event(), [], [0]

    def read(seed: int) -> None:
        choice = random.Random(seed)
        while not over.is_set():
            key = choice.choice(keys)
            try:
                held = os.open(mounted / key, os.O_RDONLY)
            except OSError as error:
                mixed.append(f"{key}: {error}")
                return
            try:
                version = os.pread(held, 8, 0)
                mapped = mmap.mmap(held, 0, prot=mmap.PROT_READ) if seed % 2 else None
                for _ in range(6):
                    at = choice.randrange(PAGES // 16) * 16
                    piece = mapped[at : at + 16] if mapped else os.pread(held, 16, at)
                    if piece != version + at.to_bytes(8, "big"):
                        mixed.append(f"{key} at {at}")
                reads[0] += 1
            except OSError as error:
                mixed.append(f"{key}: {error}")
            finally:
                os.close(held)

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 251):
        new = content(number, PAGES)
        dataset.put(dict.fromkeys(keys, new))
    over.set()
    for reader in readers:
        reader.join()
    until(lambda: all(whole(mounted / key) == content(250, PAGES) for key in keys), SEEN_S)
    assert mixed == []
    assert reads[0] > 50
    mounted.stop()
