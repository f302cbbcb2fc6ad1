"""Opening a mirror: its state folder, its lock, its parts put together."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syncd.clock import Clock, SystemClock
from syncd.engine.mirror import Mirror, Subject
from syncd.engine.options import Options
from syncd.engine.pool import ThreadPool, Workers
from syncd.engine.session import source_of
from syncd.errors import NotFoundError, UsageError
from syncd.local.ignore import Filter
from syncd.model import Policy
from syncd.remotes.base import Dataset, Moves, Paced, Remote
from syncd.state.folder import folder_of
from syncd.state.lock import FolderLock
from syncd.state.store import State
from syncd.value import value


@value
class Target:
    """One folder and where it goes: what a state folder belongs to."""

    root: Path
    remote: str
    """The remote as the user names it; the embedded hub is `hub`."""
    dataset: str
    options: Options

    def folder(self, mirrors: Path) -> Path:
        """Where the state of this mirror lies; the same for the same folder and dataset."""
        return mirrors / folder_of(self.root, self.remote, self.dataset)


def root_of(path: Path) -> Path:
    """The real folder behind a path; raises NotFoundError, UsageError."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise NotFoundError("there is no such folder", path=str(path)) from error
    if not real.is_dir():
        raise UsageError("is not a folder", path=str(path))
    return real


@contextmanager
def opened(
    target: Target,
    remote: Remote,
    mirrors: Path,
    *,
    removes: bool,
    clock: Clock | None = None,
    folder: Path | None = None,
) -> Iterator[Mirror]:
    """A mirror ready to be bound, under its lock; BusyError where another run has it."""
    folder = folder or target.folder(mirrors)
    with FolderLock(folder, what=f"the mirror of {target.root} to {target.dataset!r}"):
        state = State(folder)
        try:
            # Known before the remote answers, so that status can name a mirror that waits for it.
            state.meta.put(
                name=target.root.name or "root", root_path=str(target.root),
                dataset_name=target.dataset, remote=target.remote,
            )  # fmt: skip
            dataset = remote.open(target.dataset, create=True, source=source_of(state))
            mirror = assemble(
                target, state, dataset, clock or SystemClock(), pool=_threads(dataset),
                removes=removes,
            )  # fmt: skip
            _pace(mirror, target.options.rate)
        except BaseException:
            state.close()
            raise
        try:
            with state.in_use():
                yield mirror
        finally:
            mirror.close()


def _pace(mirror: Mirror, rate: float | None) -> None:
    if isinstance(mirror.dataset, Paced):
        pace = mirror.dataset.pace
        pace.limit(rate)
        mirror.tally.leaving = lambda: pace.passed
        mirror.dispatcher.batch_bytes = pace.part(mirror.dispatcher.batch_bytes)


def assemble(
    target: Target, state: State, dataset: Dataset, clock: Clock, *, pool: Workers, removes: bool
) -> Mirror:
    """Put a mirror's parts together."""
    options = target.options
    subject = Subject(
        name=target.root.name or "root",
        root=target.root,
        policy=_policy(options, dataset),
        chosen=Filter(extensions=options.extensions, patterns=options.ignore),
    )
    return Mirror(subject, state, dataset, clock, pool=pool, removes=removes)


def _threads(dataset: Dataset) -> Workers:
    return lambda work, deliver: ThreadPool(dataset.traits.parallel, work, deliver)


def machine() -> str:
    """This machine's name: by it files are told apart where nobody gave another."""
    return socket.gethostname().partition(".")[0]


def _policy(options: Options, dataset: Dataset) -> Policy:
    return Policy(
        layout=options.layout,
        prefix=options.prefix.strip("/"),
        on_delete=options.on_delete,
        on_conflict=options.on_conflict,
        source=options.source or machine(),
        can_replace=dataset.traits.replace,
        can_move=isinstance(dataset, Moves),
        can_trash=dataset.traits.trash,
        can_remove=dataset.traits.delete,
    )
