"""run: the daemon that a configuration describes, as systemd and people start it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli import options as o
from syncd.cli import render
from syncd.cli.voice import Lines


def run(
    config: o.Config = None,
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
    told = ("--log-json",) if log_json else ()
    spoken = Lines()
    service = (
        Daemon(where, spoken, told) if mount is None else LoneMount(where, mount, spoken, told)
    )
    service.run()
    if service.status:
        raise typer.Exit(service.status)


def add_to(app: typer.Typer) -> None:
    app.command()(run)
