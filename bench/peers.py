"""The other ways to carry a tree: rclone to its own servers, cp, rsync, find.

None of the peers' servers flushes to the disk, so what they stored is flushed by `sync -f` and
that is timed with them. Every upload has a fresh server with a fresh folder: rclone's servers keep
a directory cache for five minutes, and a second upload to the same place would send nothing.
A peer that is not installed is left out and named in the report.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchError, Program, Sample, free_port, timed
from bench.workload import Tree

KEY, SECRET = "bench-key", "bench-secret"
TUNED = [
    "--transfers=16",
    "--no-traverse",
    "--no-check-dest",
    "--s3-no-head",
    "--s3-no-check-bucket",
    "--s3-disable-checksum",
    "--ignore-checksum",
]
NO_TRANSFER = 9
"""What rclone exits with when --error-on-no-transfer is given and nothing had to be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A way to upload: `carry` brings a tree below an empty folder and tells what it cost.

    `rank` is what the verdicts compare with: "rclone", "cp", or nothing for information only.
    """

    name: str
    carry: Callable[[Tree, Path], Sample]
    rank: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noop:
    """A way to find out that nothing changed; `check` raises if it did more than that."""

    name: str
    look: Callable[[], Sample]
    rank: str = ""


def uploads() -> list[Upload]:
    """Every way to upload that this machine has."""
    local = [
        Upload(name="cp -a, sync", rank="cp", carry=_copy("cp", "-a")),
        Upload(name="rsync -a, sync", carry=_copy("rsync", "-a")),
        Upload(name="rclone copy to a local folder, sync", carry=_copy("rclone", "copy")),
    ]
    served = [
        Upload(name="rclone copy to serve s3, 4 transfers, sync", rank="rclone", carry=_s3([])),
        Upload(
            name="rclone copy to serve s3, 16 transfers, sync",
            rank="rclone",
            carry=_s3(["--transfers=16"]),
        ),
        Upload(name="rclone copy to serve s3, tuned, sync", rank="rclone", carry=_s3(TUNED)),
        Upload(name="rclone copy to serve webdav, 16 transfers, sync", rank="rclone", carry=_dav),
    ]
    return [way for way in local + served if shutil.which(way.name.split()[0])]


def noops(tree: Path, copy: Path) -> Iterator[Noop]:
    """Every way to compare `tree` with its equal `copy`, but those that need a server."""
    yield Noop(
        name="find -printf '%s %T@'",
        rank="find",
        look=lambda: timed(["find", str(tree), "-printf", "%s %T@\n"]),
    )
    if shutil.which("rsync"):
        yield Noop(name="rsync -a to a local copy", rank="rsync", look=lambda: _rsync(tree, copy))
    if shutil.which("rclone"):
        yield Noop(
            name="rclone sync to a local copy",
            rank="rclone",
            look=lambda: _unchanged([str(tree), str(copy)]),
        )
        yield Noop(
            name="rclone sync --size-only to a local copy",
            rank="rclone",
            look=lambda: _unchanged([str(tree), str(copy), "--size-only"]),
        )


@contextmanager
def s3_noop(tree: Path, copy: Path) -> Iterator[Noop]:
    """rclone against its S3 server that has `copy` already, after one listing that warms it."""
    with serve("s3", copy.parent) as (server, flags):
        argv = [str(tree), f":s3:{copy.name}", "--size-only", "--fast-list", *flags]
        _unchanged(argv, server)
        yield Noop(
            name="rclone sync --size-only --fast-list to serve s3",
            rank="rclone",
            look=lambda: _unchanged(argv, server),
        )


def absent() -> list[str]:
    return [name for name in ("rclone", "rsync", "lsyncd") if not shutil.which(name)]


def version(name: str) -> str:
    """The first line a peer says about itself."""
    return timed([name, "--version"]).output.splitlines()[0].strip()


def _copy(*command: str) -> Callable[[Tree, Path], Sample]:
    def carry(tree: Tree, room: Path) -> Sample:
        target = room / "copy"
        return timed([*command, f"{tree.root}/", str(target)], _sync(room), env=plain())

    return carry


def _s3(options: Sequence[str]) -> Callable[[Tree, Path], Sample]:
    def carry(tree: Tree, room: Path) -> Sample:
        (room / "data" / "bucket").mkdir(parents=True)
        with serve("s3", room / "data") as (server, flags):
            copy = ["rclone", "copy", str(tree.root), ":s3:bucket", *flags, *options]
            return timed(copy, _sync(room), server=server, env=plain())

    return carry


def _dav(tree: Tree, room: Path) -> Sample:
    (room / "data").mkdir()
    with serve("webdav", room / "data") as (server, flags):
        copy = ["rclone", "copy", str(tree.root), ":webdav:tree", *flags, "--transfers=16"]
        return timed(copy, _sync(room), server=server, env=plain())


@contextmanager
def serve(kind: str, data: Path) -> Iterator[tuple[Program, list[str]]]:
    """Start one of rclone's servers; yield it with the flags that make rclone its client."""
    port = free_port()
    log = data.parent / f"{data.name}.{kind}.log"
    argv = ["rclone", "serve", kind, str(data), f"--addr=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    if kind == "s3":
        argv.append(f"--auth-key={KEY},{SECRET}")
        flags = [
            "--s3-provider=Other",
            f"--s3-endpoint={url}",
            f"--s3-access-key-id={KEY}",
            f"--s3-secret-access-key={SECRET}",
        ]
    else:
        # Its own pacer would let 100 requests a second pass.
        flags = [f"--webdav-url={url}", "--webdav-pacer-min-sleep=1us"]
    with Program(argv, log=log, env=plain()) as server:
        server.await_port(port)
        yield server, ["--checkers=16", *flags]


def _rsync(tree: Path, copy: Path) -> Sample:
    sample = timed(["rsync", "-a", "--out-format=%n", f"{tree}/", str(copy)])
    if sample.output.strip():
        raise BenchError(f"rsync sent something: {sample.output[:200]}")
    return sample


def _unchanged(argv: Sequence[str], server: Program | None = None) -> Sample:
    return timed(
        ["rclone", "sync", *argv, "--error-on-no-transfer"],
        server=server,
        env=plain(),
        accept=lambda code: code == NO_TRANSFER,
    )


def _sync(room: Path) -> list[str]:
    return ["sync", "-f", str(room)]


def plain() -> dict[str, str]:
    """An environment without the user's own rclone settings."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "RCLONE_CONFIG": "/dev/null"}
