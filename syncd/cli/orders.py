"""Orders to mirrors: retry, sweep, approve, resolve, pause, resume, flush; log-level, metrics."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import render

if TYPE_CHECKING:
    from syncd.daemon.orders import Reply

Folder = Annotated[
    Path | None, typer.Argument(metavar="FOLDER", help="One mirrored folder. Default: all.")
]


def retry(
    json: o.Json = False, remote: o.MirrorsOf = None, token_file: o.TokenOfMirrors = None
) -> None:
    """Try again now whatever failed."""
    from syncd.daemon.orders import tell_all

    _say(tell_all(["retry"], remote, token_file=token_file), json=json)


def sweep(
    json: o.Json = False, remote: o.MirrorsOf = None, token_file: o.TokenOfMirrors = None
) -> None:
    """Scan everything now, and compare with all the remote holds."""
    from syncd.daemon.orders import tell_all

    _say(tell_all(["sweep"], remote, token_file=token_file), json=json)


def approve(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="As `syncd status` printed it.")],
    json: o.Json = False,
    remote: o.MirrorsOf = None,
    token_file: o.TokenOfMirrors = None,
) -> None:
    """Let a mirror do what it stopped to ask about."""
    from syncd.daemon import orders

    _say([orders.approve(plan, remote, token_file)], json=json)


def resolve(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file.")],
    local: Annotated[bool, typer.Option("--local", help="The local file is right.")] = False,
    remote: Annotated[bool, typer.Option("--remote", help="The remote item is right.")] = False,
    both: Annotated[bool, typer.Option("--both", help="Keep both, under two names.")] = False,
    json: o.Json = False,
    token_file: o.TokenOfMirrors = None,
) -> None:
    """Settle a conflict that `syncd status` lists."""
    from syncd.daemon.orders import tell_owner
    from syncd.errors import UsageError

    chosen = [word for word, on in (("local", local), ("remote", remote), ("both", both)) if on]
    if len(chosen) != 1:
        raise UsageError("say one of --local, --remote, --both")
    said = tell_owner(path, ["resolve", chosen[0]], token_file)
    if json:
        render.as_json({"path": str(path), "choice": chosen[0], "said": said})
    else:
        render.out(said)


def pause(
    folder: Folder = None,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Go on by itself after 30 min, 2h.")
    ] = None,
    json: o.Json = False,
    remote: o.MirrorsOf = None,
    token_file: o.TokenUnasked = None,
) -> None:
    """Send nothing until `syncd resume`.

    A restart does not end it. What changes meanwhile is noted.
    """
    from syncd.config import quantity
    from syncd.daemon.orders import tell_all

    words = ["pause"]
    if duration is not None:
        words.append(str(o.checked("--for", quantity.duration, duration)))
    _say(tell_all(words, remote, folder), json=json)


def resume(
    folder: Folder = None,
    json: o.Json = False,
    remote: o.MirrorsOf = None,
    token_file: o.TokenUnasked = None,
) -> None:
    """Go on after `syncd pause`."""
    from syncd.daemon.orders import tell_all

    _say(tell_all(["resume"], remote, folder), json=json)


def flush(
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="Wait so long. Default: 60.")
    ] = 60.0,
    remote: o.MirrorsOf = None,
    token_file: o.TokenUnasked = None,
) -> None:
    """Send now what waits for its quiet period.

    It returns once that is stored. Exit status 5 where that is not so in time.
    """
    from syncd.config.checked import seconds
    from syncd.daemon.orders import flush_all

    for said in flush_all(remote, o.checked("--timeout", seconds, timeout)):
        render.out(said)


def log_level(
    level: Annotated[
        str | None, typer.Argument(metavar="LEVEL", help="debug, info, warning, error.")
    ] = None,
) -> None:
    """Say or set how much mirrors and mounts log."""
    from syncd.daemon.orders import log_levels

    for said in log_levels(level):
        render.out(said)


def metrics() -> None:
    """Print the numbers of what runs, for Prometheus."""
    from syncd.daemon.metrics import text
    from syncd.daemon.orders import samples

    print(text(samples()), end="")


def _say(replies: Iterable[Reply], *, json: bool) -> None:
    """What each mirror said, as it says it. The worst failure is the exit status."""
    worst = 0
    for reply in replies:
        worst = max(worst, reply.error.exit_code if reply.error else 0)
        if json:
            error = str(reply.error) if reply.error else None
            render.as_json({
                "root": reply.root, "dataset": reply.dataset, "said": reply.said, "error": error,
            })  # fmt: skip
        elif reply.error:
            render.note(f"syncd: {reply.name}: {reply.error}")
        else:
            render.out(f"{reply.name}: {reply.said}")
    if worst:
        raise typer.Exit(worst)


def add_to(app: typer.Typer) -> None:
    for command in (retry, sweep, approve, resolve, pause, resume, flush, metrics):
        app.command()(command)
    app.command("log-level")(log_level)
