"""mount and umount: a dataset read like a folder."""

from __future__ import annotations

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import reach, render
from syncd.config.checked import CACHE_SIZE

if TYPE_CHECKING:
    from syncd.client import Client
    from syncd.daemon.mount_wanted import Wanted

log = logging.getLogger(__name__)


class Sidecars(StrEnum):
    """Beside which files their annotations are shown."""

    ANNOTATED = "annotated"
    ALL = "all"
    NONE = "none"


def mount(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="With --all: the mount point.")
    ],
    mountpoint: Annotated[
        Path | None, typer.Argument(metavar="MOUNTPOINT", help="An empty folder; made if new.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Mount every dataset, a folder each.")
    ] = False,
    create: Annotated[
        bool, typer.Option("--create", help="Make the dataset if there is none of that name.")
    ] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C, which unmounts.")
    ] = False,
    uid: Annotated[
        int | None, typer.Option("--uid", metavar="N", min=0, help="Who owns what is shown.")
    ] = None,
    gid: Annotated[
        int | None, typer.Option("--gid", metavar="N", min=0, help="And the group.")
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", metavar="OCTAL", help="The rights of files.")
    ] = "444",
    allow_other: Annotated[
        bool, typer.Option("--allow-other", help="Let other users in, as far as --mode does.")
    ] = False,
    cache_size: Annotated[
        str, typer.Option("--cache-size", metavar="SIZE", help="How much is kept on disk.")
    ] = CACHE_SIZE,
    cache_dir: Annotated[
        Path | None,
        typer.Option("--cache-dir", metavar="DIR", help="Where. Default: the XDG cache."),
    ] = None,
    staleness: Annotated[
        float,
        typer.Option(
            "--staleness", metavar="SECONDS", min=0.1,
            help="How old what is shown may be where a remote has no change feed.",
        ),
    ] = 60.0,
    sidecars: Annotated[
        Sidecars,
        typer.Option(
            "--sidecars", metavar="annotated|all|none",
            help="Beside which files their annotations are shown, as NAME.json.",
        ),
    ] = Sidecars.ANNOTATED,
    xattrs: Annotated[
        bool, typer.Option("--xattrs", help="Show user.syncd.id and user.syncd.sha256.")
    ] = False,
    prefetch: Annotated[
        str | None,
        typer.Option(
            "--prefetch", metavar="FOLDER", help="Fetch this folder in the background; / is all."
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0.1,
            help="How long a read waits for the remote before it fails.",
        ),
    ] = 30.0,
    quiet: o.Quiet = False,
    log_json: o.LogJson = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:  # fmt: skip
    """Mount a dataset, to be read like a folder. Nothing can be written there.

    Every program that reads files can read it. It stays until `syncd umount MOUNTPOINT`.
    """
    from syncd.config.checked import checked_name
    from syncd.errors import UsageError
    from syncd.mount import point as points

    if foreground:
        render.log_to_stderr(logging.ERROR if quiet else logging.WARNING, as_json=log_json)
    if everything == (mountpoint is not None):
        raise UsageError("say DATASET MOUNTPOINT, or --all MOUNTPOINT")
    where = mountpoint if mountpoint is not None else Path(dataset)
    if not everything:
        checked_name(dataset)
    wanted = _wanted(
        where, None if everything else dataset, cache_dir, uid=uid, gid=gid, mode=mode,
        cache_size=cache_size, staleness=staleness, timeout=timeout, sidecars=sidecars,
        prefetch=prefetch, allow_other=allow_other, xattrs=xattrs, create=create,
    )  # fmt: skip
    problem = points.lacking()
    if problem:
        raise UsageError(problem)
    if allow_other:
        points.check_others()
    if foreground:
        _stay(wanted, remote, token_file, quiet=quiet)
    else:
        _background(wanted, quiet=quiet)


def umount(
    mountpoint: Annotated[Path, typer.Argument(metavar="MOUNTPOINT")],
    lazy: Annotated[
        bool,
        typer.Option("--lazy", help="Also while it is in use; programs with open files read on."),
    ] = False,
) -> None:
    """Unmount a dataset."""
    from syncd.daemon.background import ended
    from syncd.mount.point import unmount

    unmount(mountpoint.absolute(), lazy=lazy)
    if not lazy:
        ended(mountpoint.absolute())


def _stay(wanted: Wanted, remote: str | None, token_file: Path | None, *, quiet: bool) -> None:
    from syncd.daemon.background import claimed
    from syncd.daemon.mount import Mounting

    with claimed(wanted) as mine, _client(remote, token_file, mine) as client:
        os.chdir("/")
        Mounting(client, mine).run((lambda text: None) if quiet else render.note)


def _client(remote: str | None, token_file: Path | None, wanted: Wanted) -> Client:
    """The client; one without a hub where our own cannot be started and is not needed for now."""
    from syncd.client import Client
    from syncd.daemon.embedded import last
    from syncd.daemon.mount_wanted import known
    from syncd.errors import StateError, TransientError

    try:
        return reach.client(remote, token_file)
    except (StateError, TransientError) as error:
        client = Client(remote, token_file=token_file, own=last)
        if known(client, wanted):
            log.warning("the hub is not there, and not started: %s", error)
            return client
        client.close()
        raise


def _background(wanted: Wanted, *, quiet: bool) -> None:
    from syncd.daemon.background import begin

    code, said = begin(wanted, quiet=quiet)
    for line in said.splitlines() if code or not quiet else ():
        render.note(line)
    if code:
        raise typer.Exit(code)


def _wanted(
    point: Path,
    dataset: str | None,
    cache: Path | None,
    *,
    uid: int | None,
    gid: int | None,
    mode: str,
    cache_size: str,
    staleness: float,
    timeout: float,
    sidecars: Sidecars,
    prefetch: str | None,
    allow_other: bool,
    xattrs: bool,
    create: bool,
) -> Wanted:
    from syncd.config import checked
    from syncd.config.places import places
    from syncd.daemon.mount_wanted import Wanted
    from syncd.mount.sidecars import Mode

    return Wanted(
        point=point.absolute(),
        dataset=dataset,
        cache=cache.absolute() if cache else places().cache,
        cache_bytes=o.checked("--cache-size", checked.cache_size, cache_size),
        staleness_s=staleness,
        timeout_s=timeout,
        sidecars=Mode(sidecars),
        prefetch=prefetch,
        uid=_owner(uid),
        gid=os.getgid() if gid is None else gid,
        mode=o.checked("--mode", checked.mode, mode),
        allow_other=allow_other,
        xattrs=xattrs,
        create=create,
    )


def _owner(uid: int | None) -> int:
    """Who owns what is shown: changes are told to the kernel by renames, which only the owner or
    root may do."""
    from syncd.errors import UsageError

    wanted = os.getuid() if uid is None else uid
    if os.geteuid() not in (0, wanted):
        raise UsageError(
            f"--uid {wanted}: only root can mount for another user",
            hint="leave it out; --mode and --allow-other let others read",
        )
    return wanted


def add_to(app: typer.Typer) -> None:
    app.command()(mount)
    app.command()(umount)
