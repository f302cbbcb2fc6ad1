"""Programs that know nothing of syncd read a mounted dataset as they read a folder."""

from __future__ import annotations

import io
import mmap
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.mount.mounted import Mounted, content, until

SIZES = (0, 1, 4095, 4096, 4097, 70_000, 300_000)


@pytest.fixture
def source(tmp_path: Path) -> dict[str, bytes]:
    """Files of awkward sizes under awkward names, and two pictures."""
    files = {f"f{n % 3}/sub {n}/{n}.bin": content(n, size) for n, size in enumerate(SIZES)}
    files |= {
        "äöü/日本.txt": b"names",
        "-rf": b"a dash",
        "new\nline": b"",
        "big": content(9, 9 << 20),
    }
    for kind in ("JPEG", "PNG"):
        buffer = io.BytesIO()
        Image.new("RGB", (320, 200), "navy").save(buffer, kind)
        files[f"pictures/one.{kind.lower()}"] = buffer.getvalue()
    return files


@pytest.fixture
def both(mount: Callable[..., Mounted], dataset, source, tmp_path: Path) -> tuple[Mounted, Path]:
    """The mount, and a plain folder with the same content."""
    folder = tmp_path / "plain"
    for key, data in source.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    dataset.put(source)
    return mount(), folder


def run(*command: str | Path, cwd: Path | None = None) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def test_the_tools_of_the_trade(both, source, tmp_path):
    mounted, folder = both
    run("diff", "-r", folder, mounted.point)
    copy = tmp_path / "copy"
    run("cp", "-a", mounted.point, copy)
    run("diff", "-r", folder, copy)
    found = sorted(run("find", ".", "-type", "f", "-print0", cwd=mounted.point).split(b"\0"))
    assert found == sorted([b"", *(b"./" + key.encode() for key in source)])
    sizes = run("find", ".", "-type", "f", "-printf", "%s %p\\0", cwd=mounted.point).split(b"\0")
    wanted = {f"{len(data)} ./{key}".encode() for key, data in source.items()}
    assert wanted == set(sizes) - {b""}
    archive = tmp_path / "all.tar"
    run("tar", "-cf", archive, "-C", mounted.point, ".")
    with tarfile.open(archive) as tar:
        for key, data in source.items():
            member = tar.extractfile(f"./{key}")
            assert member is not None
            assert member.read() == data
    mounted.stop()


def test_rsync_finds_nothing_to_do(both):
    needs("rsync")
    mounted, folder = both
    said = run("rsync", "-rcn", "--itemize-changes", f"{mounted.point}/", f"{folder}/")
    assert said == b""
    mounted.stop()


def test_times_are_those_of_the_items(both):
    mounted, _ = both
    assert (mounted / "big").stat().st_mtime_ns == 1_600_000_000_000_000_000
    seen = os.stat(mounted / "f0")
    assert seen.st_uid == os.getuid()
    assert (mounted / "-rf").stat().st_mode & 0o777 == 0o444
    with os.scandir(mounted.point) as entries:
        numbers = {entry.name: entry.inode() for entry in entries}
    assert numbers == {name: (mounted / name).stat().st_ino for name in os.listdir(mounted.point)}
    mounted.stop()


def test_a_file_is_mapped(both, source):
    mounted, _ = both
    with (
        (mounted / "big").open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as m,
    ):
        assert m[5 << 20 : (5 << 20) + 100] == source["big"][5 << 20 : (5 << 20) + 100]
        assert m[:] == source["big"]
    mounted.stop()


def test_pictures_are_opened(both):
    mounted, _ = both
    for path in (mounted / "pictures").iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert picture.size == (320, 200)
    mounted.stop()


def test_beyond_the_end_is_nothing(both):
    mounted, _ = both
    held = os.open(mounted / "big", os.O_RDONLY)
    try:
        assert os.pread(held, 100, 9 << 20) == b""
        assert os.pread(held, 100, (9 << 20) - 5) == content(9, 9 << 20)[-5:]
    finally:
        os.close(held)
    mounted.stop()


READER = """
import os, random, sys, time
point, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
choice, reads, until = random.Random(seed), 0, time.monotonic() + seconds
keys = [f"{n}.bin" for n in range(8)]
while time.monotonic() < until:
    held = os.open(os.path.join(point, choice.choice(keys)), os.O_RDONLY)
    size = os.fstat(held).st_size
    version = os.pread(held, 8, 0)
    for _ in range(choice.randrange(1, 12)):
        at = choice.randrange(0, size // 16) * 16
        length = choice.choice([16, 4096, 131072])
        data = os.pread(held, length, at)
        assert len(data) == min(length, size - at), (seed, at, len(data))
        for step in range(0, len(data) - 15, 16):
            told = data[step:step + 16]
            wanted = version + (at + step).to_bytes(8, "big")
            assert told == wanted, (seed, at + step, told, wanted)
        reads += 1
    os.close(held)
print(reads)
"""


def test_random_reads_of_several_processes_while_files_are_replaced(mount, dataset):
    """Every byte tells which version of which file it is of, and where it belongs."""
    choice = random.Random(7)
    dataset.put({f"{n}.bin": content(1, 65536 + 4096 * n) for n in range(8)})
    mounted = mount()
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(mounted.point), str(seed), "4"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for seed in range(3)
    ]  # fmt: skip
    version = 1
    while any(reader.poll() is None for reader in readers):
        version += 1
        keys = choice.sample(range(8), 3)
        sizes = {n: choice.choice([65536 + 4096 * n, 300_000, 2_000_000]) for n in keys}
        dataset.put({f"{n}.bin": content(version, size) for n, size in sizes.items()})
    for reader in readers:
        out, err = reader.communicate()
        assert reader.returncode == 0, err.decode()
        assert int(out) > 20
    last = {key: item.size for key, item in dataset.items.items()}
    until(lambda: {k: (mounted / k).stat().st_size for k in last} == last)
    mounted.stop()
