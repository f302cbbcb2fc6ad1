"""service: install, uninstall, status of the units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import render
from syncd.errors import UsageError

if TYPE_CHECKING:
    from syncd.config.places import Places
    from syncd.service.plan import Plan
    from syncd.service.scope import Scope
    from syncd.service.text import Shown

service = typer.Typer(no_args_is_help=True)

System = Annotated[
    bool | None,
    typer.Option(
        "--system/--user",
        help="For the machine, which is what root gets, or for this user alone.",
        show_default=False,
    ),
]


@service.command()
def install(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER...", help="Folders to mirror.")
    ] = None,
    system: System = None,
    mount: Annotated[
        list[str] | None,
        typer.Option("--mount", metavar="DATASET=PATH", help="Mount it there; repeatable."),
    ] = None,
    run_as: Annotated[
        str | None,
        typer.Option("--run-as", metavar="USER", help="Default: the owner of the folders."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show all that would be written and run.")
    ] = False,
    remote: Annotated[
        str | None,
        typer.Option("--remote", metavar="URL", help="A hub elsewhere. Default: one of its own."),
    ] = None,
    token_file: o.TokenFile = None,
) -> None:
    """Write, enable and start the units that mirror folders for as long as the machine runs.

    Called again with other folders it adds them.
    """
    from syncd.config.secret import Secret
    from syncd.engine.opening import root_of
    from syncd.service.install import install as carry_out
    from syncd.service.plan import Wish, plan

    scope, where = _scope(system, writes=not dry_run)
    token = Secret(file=str(token_file)).reveal() if token_file else None
    wish = Wish(
        folders=[root_of(folder) for folder in folders or []],
        mounts=[_shown(text) for text in mount or []],
        run_as=run_as, url=remote, token=token,
    )  # fmt: skip
    found = plan(scope, wish, where)
    if dry_run:
        _show(scope, found)
        return
    carry_out(scope, found)
    for unit in found.units:
        render.out(f"{unit} is enabled and runs")
    render.out(f"configuration: {scope.config}; token: {scope.token}")
    if not scope.system:
        render.out("to have it run without a login: loginctl enable-linger")


@service.command()
def uninstall(system: System = None) -> None:
    """Stop and remove the units and all that they kept. Folders and datasets stay."""
    from syncd.service.install import uninstall as carry_out

    scope, where = _scope(system, writes=True)
    for sentence in carry_out(scope, where):
        render.out(f"kept {sentence}")


@service.command()
def status(system: System = None, json: o.Json = False) -> None:
    """Say how the units are. Exit status 1 where one does not run."""
    from syncd.service.install import states
    from syncd.value import by_name

    scope, _ = _scope(system, writes=False)
    found = states(scope)
    if json:
        render.as_json([by_name(state) for state in found])
    else:
        render.rows((s.name, s.active, f"{s.restarts} restarts", s.text) for s in found)
        if not found:
            render.out("nothing is installed: syncd service install FOLDER")
    if any(state.active != "active" for state in found):
        raise typer.Exit(1)


def _scope(system: bool | None, *, writes: bool) -> tuple[Scope, Places]:
    import os

    from syncd.config.places import places
    from syncd.service import scope as scopes

    root = os.geteuid() == 0
    if system is None:
        system = root
    if system and writes and not root:
        raise UsageError("the machine's service needs root", hint="sudo, or --user")
    scope = scopes.machine() if system else scopes.own()
    where = places()
    if system:
        state = Path("/var/lib/syncd")
        where = replace(where, state=state, data=state / "data", cache=Path("/var/cache/syncd"))
    return scope, replace(where, named=scope.config)


def _shown(text: str) -> Shown:
    from syncd.config.checked import checked_name
    from syncd.service.text import Shown

    dataset, _, path = text.partition("=")
    if not path:
        raise UsageError(f"--mount {text!r}: write DATASET=PATH")
    full = Path(path).absolute()
    return Shown(path=full.parent.resolve() / full.name, dataset=checked_name(dataset))


def _show(scope: Scope, plan: Plan) -> None:
    from syncd.service.install import commands

    for file in plan.files:
        render.out(f"--- {file.path} (mode {file.mode:o})")
        for line in ["(a secret)"] if file.secret else file.text.splitlines():
            render.out(line)
    for folder in plan.folders:
        render.out(f"--- mkdir -p {folder}")
        if plan.user:
            render.out(f"--- chown {plan.user} {folder}")
    for words in commands(scope, plan):
        render.out(f"--- {' '.join((*scope.control, *words))}")


def add_to(app: typer.Typer) -> None:
    app.add_typer(service, name="service", help="Have systemd run syncd, from boot on.")
