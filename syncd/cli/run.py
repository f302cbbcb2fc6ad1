"""run: the daemon that a configuration describes, as systemd and people start it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import options as o
from syncd.cli import render

File = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Default: config.toml in the configuration directory."
    ),
]


def run(
    config: File = None,
    mount: Annotated[
        Path | None,
        typer.Option("--mount", metavar="PATH", help="Serve only this mount of the file."),
    ] = None,
    log_json: o.LogJson = False,
) -> None:
    """Mirror and mount all that the configuration lists.

    It runs until it is stopped; SIGHUP has it read the file again.
    """
    from dataclasses import replace

    from syncd.config.places import places
    from syncd.daemon.lone import LoneMount
    from syncd.daemon.service import Daemon

    where = places()
    if config is not None:
        where = replace(where, named=config.absolute())
    render.log_to_stderr(logging.INFO, as_json=log_json)
    if mount is None:
        Daemon(where).run(render.note)
        return
    lone = LoneMount(where, mount)
    lone.run(render.note)
    if lone.status:
        raise typer.Exit(lone.status)


def add_to(app: typer.Typer) -> None:
    app.command()(run)
