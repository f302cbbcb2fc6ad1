"""Orders to a mirror that no daemon runs: carried out on the state file, under its lock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from syncd.client import Client
from syncd.engine.commands import carry_out
from syncd.engine.opening import Target, opened
from syncd.engine.options import Options
from syncd.errors import NotFoundError
from syncd.model import Layout
from syncd.state.store import State


def carry_out_offline(folder: Path, words: Sequence[str]) -> str:
    """Do it now; what it leads to is done by the next `watch` or `push` of that folder."""
    state = State.snapshot(folder)
    try:
        target, remote = _target(state)
    finally:
        state.close()
    with (
        Client(remote) as client,
        opened(target, client.remote, folder.parent, removes=True, folder=folder) as mirror,
    ):
        mirror.guard.check()
        return f"{carry_out(mirror, words)}; the next watch or push of the folder acts on it"


def _target(state: State) -> tuple[Target, str | None]:
    root = state.meta.get("root_path")
    if not root:
        raise NotFoundError("this mirror was never begun")
    layout, prefix = state.meta.get("layout")
    remote = state.meta.get("remote")
    options = Options(layout=Layout(layout), prefix=prefix)
    target = Target(
        root=Path(root),
        remote=remote or "hub",
        dataset=state.meta.get("dataset_name"),
        options=options,
    )
    return target, remote
