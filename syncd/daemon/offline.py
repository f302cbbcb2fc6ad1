"""Orders to a mirror that no daemon runs: carried out on the state file, under its lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from syncd.client import Client
from syncd.engine.commands import NEXT, Said, carry_out
from syncd.engine.mirror import Command, Mirror
from syncd.engine.opening import Target, opened
from syncd.engine.options import Options
from syncd.errors import NotFoundError, UsageError
from syncd.model import Layout
from syncd.state.lock import FolderLock
from syncd.state.pause import pause, resume
from syncd.state.store import State

RUNNING = ("flush", "left", "log-level", "metrics")
"""What only a daemon can be told, for it is about what it does just now."""


def carry_out_offline(folder: Path, words: Sequence[str], token_file: Path | None = None) -> str:
    """Do it now; what it leads to is done by the next `watch` or `push` of that folder."""
    verb, *rest = words
    if verb in RUNNING:
        raise UsageError(f"no daemon watches this folder: {verb} is for one that runs")
    if verb in ("pause", "resume"):
        return _note_pause(folder, verb, *rest)
    state = State.snapshot(folder)
    try:
        target, remote = _target(state)
    finally:
        state.close()
    with (
        Client(remote, token_file=token_file) as client,
        opened(target, client.remote, folder.parent, removes=True, folder=folder) as mirror,
    ):
        mirror.guard.check()
        said = _finished(mirror, carry_out(mirror, words, running=False))
        return f"{said}; the {NEXT} acts on it" if verb == "resolve" else said


def _finished(mirror: Mirror, said: Said) -> str:
    """A worker's part is waited for: its end is all that anybody posts here."""
    while isinstance(said, Future) and not said.done():
        message = mirror.inbox.get()
        if isinstance(message, Command):
            message.answer(message.run(mirror))
    return said.result() if isinstance(said, Future) else said


def _note_pause(folder: Path, verb: str, seconds: str = "") -> str:
    """A pause needs nobody but the state file, so it can be had while the remote is away."""
    with FolderLock(folder, what="this mirror"):
        state = State(folder)
        try:
            if verb == "resume":
                return resume(state.meta, time.time_ns(), f"; the {NEXT} acts on it")
            return pause(state.meta, time.time_ns(), seconds)
        finally:
            state.close()


def _target(state: State) -> tuple[Target, str | None]:
    root, known = state.meta.get("root_path"), state.meta.get("layout")
    if not root or not known:
        raise NotFoundError("this mirror was never begun: its remote has not answered yet")
    layout, prefix = known
    remote = state.meta.get("remote")
    options = Options(layout=Layout(layout), prefix=prefix)
    target = Target(
        root=Path(root),
        remote=remote or "hub",
        dataset=state.meta.get("dataset_name"),
        options=options,
    )
    return target, remote
