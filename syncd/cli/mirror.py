"""watch, and what can be known of mirrors: status, history."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import overview, reach, render
from syncd.cli.voice import voice

if TYPE_CHECKING:
    from syncd.state.report import MirrorStatus


def watch(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", parser=o.place, help="Folders to mirror.")
    ],
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
    bandwidth: o.Bandwidth = None,
    quiet: o.Quiet = False,
    log_json: o.LogJson = False,
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
        source=source, extensions=extension, on_delete=on_delete, bandwidth=bandwidth,
    )  # fmt: skip
    reach.checked(folders, to)
    render.log_to_stderr(logging.ERROR if quiet else logging.WARNING, as_json=log_json)
    found = resolve(remote, token=None, token_file=token_file, where=places())
    spoken = voice(quiet=quiet, log_json=log_json)
    Service(places(), called(folders, to, found, chosen), spoken, again_s=None).run()


def status(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="One file, or one mirrored folder.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing it, until Ctrl-C.")
    ] = False,
    json: o.Json = False,
    remote: o.MirrorsOf = None,
    token_file: o.TokenUnasked = None,
) -> None:
    """Say how every mirror is, or whether one file is safe.

    Exit status 1 where the file is not (yet) safe at the remote.
    """
    from syncd.daemon.overview import every_mirror, is_folder, of_folder, of_remote, one_file

    if path is None:
        every: list[MirrorStatus] = []

        def look() -> list[MirrorStatus]:
            every[:] = every_mirror()
            return of_remote(every, remote)

        overview.show(look, json=json, watch=watch)
        _name_damaged(every)
        return
    if is_folder(path):
        overview.show(lambda: of_folder(path, remote), json=json, watch=watch)
        return
    mirror, file = one_file(path, remote)
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


def history(
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="A file or folder. Default: everything.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="How far back: 2h, 7d.")
    ] = "90d",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many lines.")
    ] = 100,
    json: o.Json = False,
    remote: o.MirrorsOf = None,
    token_file: o.TokenUnasked = None,
) -> None:
    """Say what was done to a file and why, the newest first."""
    from time import time_ns

    from syncd.config.quantity import duration
    from syncd.daemon.overview import every_mirror, past

    seconds = o.checked("--since", duration, since)
    every = every_mirror(remote)
    found = past(every, path, since_ns=time_ns() - int(seconds * 1e9), limit=limit)
    if json:
        for mirror, deed in found:
            render.as_json(render.deed_fields(deed, mirror))
    else:
        render.deeds(found)
    if not found and not json:
        render.note("nothing was done since then")
    _name_damaged(every)


def _name_damaged(every: Sequence[MirrorStatus]) -> None:
    """What can be shown was shown; state files that cannot be read come last, with status 1."""
    from syncd.daemon.overview import damaged

    found = damaged(every)
    for reason in found:
        render.note(f"syncd: {reason}")
    if found:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    for command in (watch, status, history):
        app.command()(command)
