"""push, pull, get: files there and back, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import reach, render
from syncd.cli.progress import display

if TYPE_CHECKING:
    from syncd.engine.report import Report


def push(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", parser=o.place, help="Folders and files.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="DATASET", help="The dataset; made if new.")],
    preserve_folders: o.PreserveFolders = False,
    flat: o.Flat = False,
    path: o.Below = "",
    on_delete: o.OnDelete = None,
    on_conflict: o.OnConflict = None,
    source: o.Source = "",
    extension: o.Extensions = None,
    bandwidth: o.Bandwidth = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan that would be executed; send nothing.")
    ] = False,
    json: o.Json = False,
    quiet: o.Quiet = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Send folders and files into a dataset, once. Nothing is removed there, whatever `--on-delete`
    says of the mirror.

    Run it again to send what is new or changed; the rest costs nothing.
    """
    chosen = reach.options(
        preserve_folders=preserve_folders, flat=flat, path=path, on_delete=on_delete,
        on_conflict=on_conflict, source=source, extensions=extension, bandwidth=bandwidth,
    )  # fmt: skip
    reach.checked(paths, to)
    if dry_run:
        with reach.client(remote, token_file) as client:
            render.plan(client.plan(to, paths, chosen), json=json)
        return
    with (
        reach.ahead(paths, chosen) as known,
        reach.client(remote, token_file) as client,
        display("sending", quiet=quiet or json) as shown,
    ):
        done = client.dataset(to).push(paths, options=chosen, watcher=shown.show, ahead=known)
    _tell(done, json=json, quiet=quiet)


def pull(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", parser=o.place, help="Where to; made if new.")
    ],
    json: o.Json = False,
    quiet: o.Quiet = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Bring a whole dataset into a folder, verified. Run it again to resume."""
    with (
        reach.client(remote, token_file) as client,
        display("fetching", quiet=quiet or json) as shown,
    ):
        done = client.dataset(dataset, create=False).pull(folder, watcher=shown.show)
    _tell(done, json=json, quiet=quiet, verb="fetched")


def get(
    what: Annotated[str, typer.Argument(metavar="DATASET/PATH")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The file or folder to write; - is standard output. Default: its own name here.",
        ),
    ] = None,
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Bring one file, verified."""
    from syncd.config.checked import checked_key
    from syncd.errors import UsageError

    name, _, key = what.strip("/").partition("/")
    checked_key(key)
    if not key:
        raise UsageError(f"{what!r} names no file: say DATASET/PATH")
    if json and str(output) == "-":
        raise UsageError("--json and the file cannot both be on standard output")
    with reach.client(remote, token_file) as client:
        place = client.dataset(name, create=False).get(key, output)
    if json:
        render.as_json({"dataset": name, "key": key, "path": str(place)})
    elif str(place) != "-":
        render.note(f"{what} is in {place}")


def _tell(done: Report, *, json: bool, quiet: bool, verb: str = "uploaded") -> None:
    """The report, and the exit status; --quiet speaks of failures only."""
    if json or not quiet or not done.success:
        render.report(done, json=json, verb=verb)
    if done.away:
        render.note(f"syncd: {done.away}")
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def add_to(app: typer.Typer) -> None:
    app.command()(push)
    app.command()(pull)
    app.command()(get)
