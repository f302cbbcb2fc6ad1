"""hub, doctor, config: what runs and how it is set up."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from syncd.cli import options as o
from syncd.cli import render
from syncd.errors import BusyError
from syncd.hub.limits import RETENTION_DAYS

if TYPE_CHECKING:
    from syncd.hub.core import HubSettings

T = TypeVar("T")
hub = typer.Typer(invoke_without_command=True)

Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Its data folder; default: XDG data.")
]


@hub.callback()
def run(
    context: typer.Context,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", min=0, max=65535, help="Default: the last one used."),
    ] = None,
    data: Data = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="Another name it is reached by."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Serve HTTPS with this.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without TLS.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="Holds the token. Default: one it makes itself."
        ),
    ] = None,
    min_free: Annotated[
        int | None,
        typer.Option("--min-free", metavar="BYTES", help="Refuse uploads below so much free disk."),
    ] = None,
    retention_days: Annotated[
        float | None,
        typer.Option(
            "--retention-days",
            metavar="DAYS",
            help=f"How long trash is kept. Default: {RETENTION_DAYS}.",
        ),
    ] = None,
    log_json: o.LogJson = False,
) -> None:
    """Run a hub until it is stopped. This user's commands find its address and token."""
    if context.invoked_subcommand is not None:
        return
    from syncd.config import checked
    from syncd.config.load import load
    from syncd.config.places import places
    from syncd.hub.core import HubSettings

    if retention_days is not None:
        o.checked("--retention-days", checked.days, retention_days)
    if min_free is not None:
        o.checked("--min-free", checked.room, min_free)
    where = places()
    configured = load(where).hub
    render.log_to_stderr(logging.INFO, as_json=log_json)
    _serve(
        HubSettings(
            data=data or where.hub_data,
            host=host,
            port=_nearest(port, configured.port),
            names=tuple(name or ()),
            address_file=where.hub_address,
            idle_s=None,
            min_free=_nearest(min_free, configured.min_free),
            retention_days=_nearest(
                retention_days, _nearest(configured.retention_days, RETENTION_DAYS)
            ),
            tls_cert=tls_cert,
            tls_key=tls_key,
            insecure=insecure,
            token_file=token_file,
        )
    )


def _serve(settings: HubSettings) -> None:
    from syncd.daemon.notify import Notifier
    from syncd.hub.server import serve

    try:
        serve(settings, Notifier())
    except BusyError as error:
        hint = "one that a command started ends a minute after the last command; or kill it"
        raise BusyError(error.message, path=error.path, hint=hint) from error


@hub.command()
def backup(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A folder that is not there yet.")],
    data: Data = None,
    json: o.Json = False,
) -> None:
    """Copy all that a hub holds, verified, while it may be running."""
    from syncd.hub.backup import backup as copy

    done = copy(_data(data), dest.absolute())
    if json:
        render.as_json({"path": done.path, "blobs": done.blobs, "bytes": done.bytes})
    else:
        render.out(f"{done.blobs} contents, {render.amount(done.bytes)}, all verified: {dest}")


@hub.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A folder made by backup.")],
    data: Data = None,
    json: o.Json = False,
) -> None:
    """Put a backup in the place of all that a hub holds. What it held before is kept beside it.

    Every mirror of the hub pauses until `syncd approve`: nothing is removed anywhere unasked.
    """
    from syncd.config.places import places
    from syncd.daemon.embedded import running
    from syncd.errors import MissingError, NotFoundError
    from syncd.hub.backup import restore as put_back
    from syncd.remotes.hub import HubRemote

    found = running(places())
    if found and found.data.resolve() == _data(data).resolve():
        remote = HubRemote(found.url, found.token, trust=found.trust)
        try:
            kept = str(remote.restore_backup(str(source.absolute())).get("kept"))
        except MissingError as error:
            raise NotFoundError(error.message) from error
        finally:
            remote.close()
    else:
        kept = str(put_back(_data(data), source.absolute()))
    if json:
        render.as_json({"restored": str(source), "kept": kept})
    else:
        render.out(f"restored from {source}; what was there before is kept in {kept}")


def _data(named: Path | None) -> Path:
    """The data folder meant: the one named, that of the hub that runs, or this user's own."""
    from syncd.config.places import places
    from syncd.daemon.embedded import running

    if named:
        return named
    found = running(places())
    return found.data if found else places().hub_data


def _nearest(said: T | None, otherwise: T) -> T:
    """What was said nearest to the call; 0 is something said."""
    return otherwise if said is None else said


def doctor(
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Check this machine and this setup. What is wrong comes with what mends it."""
    from syncd.daemon.doctor import findings

    found = findings(remote, token_file)
    if json:
        render.as_json([
            {"check": f.check, "ok": f.ok, "detail": f.detail, "mend": f.mend} for f in found
        ])  # fmt: skip
    else:
        render.rows(("ok" if f.ok else "NOT OK", f.check, f.detail) for f in found)
        for finding in found:
            if finding.mend:
                render.out(f"to mend {finding.check}: {finding.mend}")
    if not all(f.ok for f in found):
        raise typer.Exit(1)


def config(
    file: o.Config = None,
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenUnasked = None,
) -> None:
    """Print the configuration as it holds, and where things lie. Secrets stay hidden."""
    from syncd.daemon.effective import effective

    table = effective(remote, file)
    if json:
        render.as_json(table)
    else:
        render.rows((name, "=", _word(value)) for name, value in table.items())


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def add_to(app: typer.Typer) -> None:
    app.add_typer(hub, name="hub")
    app.command()(doctor)
    app.command()(config)
