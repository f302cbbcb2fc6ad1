"""The ways to read a tree like a folder: syncd's mount, rclone's, and the disk itself.

Each mount is fresh: an empty cache of its own, and nothing of it in the kernel. What is served
lies on the same disk and was read or written just before, so that nobody waits for the disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import ours, peers
from bench.measure import BenchError, Program
from bench.workload import Tree, settle

CACHE = "20G"
RCLONE = [
    "--read-only",
    "--vfs-cache-mode=full",
    "--dir-cache-time=1h",
    "--use-server-modtime",
    "--attr-timeout=1h",
    "--max-read-ahead=1Mi",
    "--vfs-fast-fingerprint",
    "--no-checksum",
    "--buffer-size=32Mi",
    "--vfs-read-chunk-streams=4",
    "--vfs-read-chunk-size=8Mi",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """A tree that can be read at `point`; `program` is who answers, None for the disk."""

    point: Path
    program: Program | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to read a tree; `mount` makes it ready in an empty folder."""

    name: str
    mount: Callable[[Path], AbstractContextManager[Mounted]]


@contextmanager
def disk(tree: Tree) -> Iterator[Way]:
    @contextmanager
    def ready(_room: Path) -> Iterator[Mounted]:
        yield Mounted(point=tree.root, program=None)

    yield Way(name="the disk itself", mount=ready)


@contextmanager
def syncd(tree: Tree, home: Path) -> Iterator[tuple[Way, Way]]:
    """A hub that holds the tree, and mounts of it: as they are, and with everything fetched in
    the background."""
    home.mkdir()
    with ours.hub(home) as hub:
        hub.push(tree)
        settle(tree)
        yield (
            Way(name="syncd mount", mount=lambda room: _ours(hub, room)),
            Way(name="syncd mount, prefetch", mount=lambda room: _ours(hub, room, "--prefetch=/")),
        )


@contextmanager
def _ours(hub: ours.Hub, room: Path, *options: str) -> Iterator[Mounted]:
    point = room / "mnt"
    argv = [*ours.SYNCD, "mount", ours.DATASET, str(point), "--foreground"]
    argv += [f"--cache-dir={room / 'cache'}", f"--cache-size={CACHE}", *options]
    with _running(argv, point, room, hub.env) as program:
        yield Mounted(point=point, program=program)


@contextmanager
def rclone(tree: Tree) -> Iterator[Way]:
    """rclone's S3 server on the folder above the tree, and tuned mounts of it."""
    with peers.serve("s3", tree.root.parent) as (_, flags):

        @contextmanager
        def ready(room: Path) -> Iterator[Mounted]:
            point = room / "mnt"
            point.mkdir()
            argv = ["rclone", "mount", f":s3:{tree.root.name}", str(point)]
            argv += [*flags, *RCLONE, f"--cache-dir={room / 'cache'}"]
            with _running(argv, point, room, peers.plain()) as program:
                yield Mounted(point=point, program=program)

        yield Way(name="rclone mount, tuned", mount=ready)


def able() -> str | None:
    """Why nothing can be mounted here, or None."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if not (shutil.which("fusermount3") or shutil.which("fusermount")):
        return "fusermount is not installed"
    return None


@contextmanager
def _running(
    argv: Sequence[str], point: Path, room: Path, env: dict[str, str] | None
) -> Iterator[Program]:
    """A mount that answers, until the end of the block."""
    with Program(argv, log=room / "mount.log", env=env) as program:
        try:
            _await(point, program)
            yield program
        finally:
            tool = shutil.which("fusermount3") or "fusermount"
            subprocess.run([tool, "-u", "-z", str(point)], check=False, capture_output=True)


def _await(point: Path, program: Program) -> None:
    end = time.monotonic() + 30
    while not (point.is_mount() and any(point.iterdir())):
        program.check()
        if time.monotonic() > end:
            raise BenchError(f"the mount did not come: {program.log.read_text()[-2000:]}")
        time.sleep(0.05)
