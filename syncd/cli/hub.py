"""hub, doctor, config: what runs and how it is set up."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from syncd.cli import options as o
from syncd.cli import render

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
    min_free: Annotated[
        int | None,
        typer.Option("--min-free", metavar="BYTES", help="Refuse uploads below so much free disk."),
    ] = None,
    retention_days: Annotated[
        float | None,
        typer.Option(
            "--retention-days", metavar="DAYS", help="How long trash is kept. Default: 30."
        ),
    ] = None,
) -> None:
    """Run a hub until it is stopped. This user's commands find its address and token."""
    if context.invoked_subcommand is not None:
        return
    from syncd.config.load import load
    from syncd.config.places import places
    from syncd.hub.core import HubSettings
    from syncd.hub.server import serve

    where = places()
    configured = load(where).hub
    render.log_to_stderr(logging.INFO)
    serve(
        HubSettings(
            data=data or where.hub_data,
            host=host,
            port=_first(port, configured.port),
            names=tuple(name or ()),
            address_file=where.hub_address,
            idle_s=None,
            min_free=_first(min_free, configured.min_free),
            retention_days=_first(retention_days, configured.retention_days, 30),
            tls_cert=tls_cert,
            tls_key=tls_key,
            insecure=insecure,
        )
    )


def _first(*values: Any) -> Any:
    """What was said nearest to the call; 0 is something said."""
    return next((value for value in values if value is not None), None)


def doctor(
    json: o.Json = False,
) -> None:
    """Check this machine and this setup. What is wrong comes with what mends it."""
    from syncd.daemon.doctor import findings

    found = findings()
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
    json: o.Json = False,
) -> None:
    """Print the configuration as it holds, and where things lie. Secrets stay hidden."""
    from syncd.daemon.overview import effective

    table = effective()
    if json:
        render.as_json(table)
    else:
        render.rows((name, "=", str(value)) for name, value in table.items())


def add_to(app: typer.Typer) -> None:
    app.add_typer(hub, name="hub")
    app.command()(doctor)
    app.command()(config)
