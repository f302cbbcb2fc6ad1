"""watch and what concerns running mirrors: status, retry, approve, resolve, sweep."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import options as o
from syncd.cli import reach, render


def watch(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders to mirror.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="DATASET", help="Default: one named after the folder."),
    ] = None,
    preserve_folders: o.PreserveFolders = False,
    flat: o.Flat = False,
    path: o.Below = "",
    on_delete: o.OnDelete = None,
    on_conflict: o.OnConflict = None,
    source: o.Source = "",
    extension: o.Extensions = None,
    quiet: o.Quiet = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Mirror folders into datasets until Ctrl-C. What is there already is sent first."""
    from syncd.config.places import places
    from syncd.daemon.remote import resolve
    from syncd.daemon.roster import called
    from syncd.daemon.service import Service

    chosen = reach.options(
        preserve_folders=preserve_folders, flat=flat, path=path, on_conflict=on_conflict,
        source=source, extensions=extension, on_delete=on_delete,
    )  # fmt: skip
    reach.checked(folders, to)
    render.log_to_stderr(logging.ERROR if quiet else logging.WARNING)
    found = resolve(remote, token=None, token_file=token_file, where=places())
    service = Service(places(), called(folders, to, found, chosen), again_s=None)
    service.run(render.note if not quiet else _unsaid)


def _unsaid(text: str) -> None:
    """--quiet: nothing is said."""


def status(
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="One file.")] = None,
    json: o.Json = False,
    remote: o.Remote = None,
) -> None:
    """Say how every mirror is, or whether one file is safe.

    Exit status 1 where the file is not (yet) safe at the remote.
    """
    from syncd.daemon.overview import every_mirror, one_file

    if path is None:
        mirrors = every_mirror(remote)
        if json:
            render.as_json({"mirrors": [render.mirror_fields(mirror) for mirror in mirrors]})
            return
        for mirror in mirrors:
            render.mirror_lines(mirror)
        if not mirrors:
            render.out("no folder is mirrored yet: syncd watch FOLDER")
        return
    mirror, file = one_file(path)
    if json:
        render.as_json(render.file_fields(file, mirror))
    else:
        safe = "safe" if file.safe else "not safe"
        render.out(f"{render.shown(str(path))}: {safe}: {file.reason}")
        if file.digest:
            since = render.moment(file.stored_ns)
            render.out(f"  {mirror.dataset}/{file.key}  sha256 {file.digest}  since {since}")
    if not file.safe:
        raise typer.Exit(1)


def retry(remote: o.Remote = None) -> None:
    """Try again now whatever failed."""
    from syncd.daemon.overview import tell_all

    for said in tell_all(["retry"], remote):
        render.out(said)


def sweep(remote: o.Remote = None) -> None:
    """Scan everything now, and compare with all the remote holds."""
    from syncd.daemon.overview import tell_all

    for said in tell_all(["sweep"], remote):
        render.out(said)


def approve(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="As `syncd status` printed it.")],
    remote: o.Remote = None,
) -> None:
    """Let a mirror do what it stopped to ask about."""
    from syncd.daemon.overview import tell_first

    render.out(tell_first(["approve", plan], remote))


def resolve(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file.")],
    local: Annotated[bool, typer.Option("--local", help="The local file is right.")] = False,
    remote: Annotated[bool, typer.Option("--remote", help="The remote item is right.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Keep both, under two names.")] = False,
) -> None:
    """Settle a conflict that `syncd status` lists."""
    from syncd.daemon.overview import tell_owner
    from syncd.errors import UsageError

    chosen = [word for word, on in (("local", local), ("remote", remote), ("both", both)) if on]
    if len(chosen) != 1:
        raise UsageError("say one of --local, --remote, --both")
    render.out(tell_owner(path, ["resolve", chosen[0]]))


def add_to(app: typer.Typer) -> None:
    for command in (watch, status, retry, sweep, approve, resolve):
        app.command()(command)
