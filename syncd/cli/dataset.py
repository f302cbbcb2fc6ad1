"""ls, verify, trash, open: looking at what a remote holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import reach, render
from syncd.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from syncd.client import Client
    from syncd.model import Item

trash = typer.Typer(help="What was removed: list it, restore it, empty it.", no_args_is_help=True)


def ls(
    what: Annotated[str | None, typer.Argument(metavar="DATASET[/FOLDER]")] = None,
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """List datasets, or the files of one."""
    from syncd.config.checked import checked_key

    with reach.client(remote, token_file) as client:
        if not what or not what.strip("/"):
            infos = list(client.remote.datasets())
            if json:
                for info in infos:
                    render.as_json({"dataset": info.name, "id": info.id, "items": info.items,
                                    "bytes": info.bytes})  # fmt: skip
                return
            render.rows((i.name, f"{i.items} items", render.amount(i.bytes)) for i in infos)
            if not infos:
                render.note("no dataset yet: syncd watch FOLDER makes one")
            return
        name, _, folder = what.strip("/").partition("/")
        checked_key(folder)
        listed = False
        for item in _below(client, name, folder):
            listed = True
            if json:
                render.as_json(render.item_fields(item, name))
            else:
                when = render.moment(item.modified_ns) or ""
                size = render.amount(item.size or 0)
                render.out(f"{size:>10}  {when:20}  {name}/{item.key}")
        if not listed and not json:
            render.note(f"{name} is empty")


def _below(client: Client, name: str, folder: str) -> Iterator[Item]:
    """The items of a folder, or the one item of that key; NotFoundError where there is neither."""
    dataset = client.remote.open(name, create=False)
    items = dataset.items(folder)
    first = next(items, None) or (dataset.find(folder) if folder else None)
    if first:
        yield first
        yield from items
    elif folder:
        raise NotFoundError(f"{name} holds nothing of that name", path=folder)


def verify(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FOLDER", help="Compare with a folder.")
    ] = None,
    preserve_folders: o.PreserveFolders = False,
    flat: o.Flat = False,
    path: o.Below = "",
    extension: o.Extensions = None,
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Read every item and compare its digest. With --against, compare a folder with the items."""
    from syncd.engine.errand import group
    from syncd.engine.opening import root_of
    from syncd.engine.verify import against_folder, bytes_of

    if against is None and (preserve_folders or flat or path or extension):
        raise UsageError("a layout says how a folder is compared: add --against FOLDER")
    chosen = reach.options(
        preserve_folders=preserve_folders, flat=flat, path=path, extensions=extension
    )
    with reach.client(remote, token_file) as client:
        bound = client.remote.open(dataset, create=False)
        if against:
            root_of(against)
            errand = group([against], dataset, client.name, chosen)[0]
            found = against_folder(bound, errand.target, client.places.mirrors)
        else:
            found = bytes_of(bound)
    if json:
        render.as_json({
            "dataset": dataset, "checked": found.checked, "bytes": found.bytes,
            "wrong": [{"path": p, "reason": r} for p, r in found.wrong], "success": not found.wrong,
        })  # fmt: skip
    else:
        render.out(f"{dataset}: {found.checked} checked, {len(found.wrong)} wrong")
        render.some(f"{name}: {reason}" for name, reason in sorted(found.wrong))
    if found.wrong:
        raise typer.Exit(1)


def open_page(
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Print a link to the hub's page. It lets one browser in, once, within 60 seconds."""
    with reach.client(remote, token_file) as client:
        render.out(client.remote.link())


@trash.command("list")
def trash_list(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """List what is in the trash."""
    with reach.client(remote, token_file) as client:
        listed = False
        for item in client.remote.open(dataset, create=False).trashed():
            listed = True
            if json:
                render.as_json(render.item_fields(item, dataset))
            else:
                render.out(f"{render.amount(item.size or 0):>10}  {item.key}")
    if not listed and not json:
        render.note(f"the trash of {dataset} is empty")


@trash.command("restore")
def trash_restore(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="All where none is named.")
    ] = None,
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Put items back where they were: of several that had the same name, the newest."""
    wanted = {path.strip("/") for path in paths or ()}
    with reach.client(remote, token_file) as client:
        bound = client.remote.open(dataset, create=False)
        found = [item for item in bound.trashed() if not wanted or item.key in wanted]
        newest = {item.key: item for item in found}  # listed by name, and then by age
        missing = wanted - newest.keys()
        if missing:
            raise NotFoundError("is not in the trash", path=sorted(missing)[0])
        outcomes = bound.restore(list(newest.values()))
    failed = [outcome for outcome in outcomes if outcome.error]
    done = len(outcomes) - len(failed)
    if json:
        told = [{"path": outcome.key, "reason": str(outcome.error)} for outcome in failed]
        render.as_json({"dataset": dataset, "restored": done, "failed": told})
    else:
        older = len(found) - len(newest)
        left = f"; {older} older of the same names are left in the trash" if older else ""
        render.out(f"{done} restored{left}")
        for outcome in failed:
            render.note(f"  {render.shown(outcome.key)}: {outcome.error}")
    if failed:
        raise typer.Exit(1)


@trash.command("empty")
def trash_empty(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Delete for good what is in the trash. Its space comes back."""
    with reach.client(remote, token_file) as client:
        bound = client.remote.open(dataset, create=False)
        if not yes and not sys.stdin.isatty():
            raise UsageError("this deletes for good: say --yes")
        if not yes:
            typer.confirm(f"Delete everything in the trash of {dataset} for good?", abort=True)
        deleted = bound.empty_trash()
    if json:
        render.as_json({"dataset": dataset, "deleted": deleted})
    else:
        render.out(f"{deleted} deleted")


def add_to(app: typer.Typer) -> None:
    app.command()(ls)
    app.command()(verify)
    app.command("open")(open_page)
    app.add_typer(trash, name="trash")
