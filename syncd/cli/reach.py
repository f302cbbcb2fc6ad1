"""From the shared options to a client and to mirror options; used by every command."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.cli.options import checked as checked_option
from syncd.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from syncd.client import Client
    from syncd.engine.options import Options
    from syncd.local.scan import Ahead


def client(remote: str | None, token_file: Path | None) -> Client:
    """The client the options ask for; the embedded hub is started if need be."""
    from syncd.client import Client

    # What it took to start is never garbage, and looking through it again costs 0.1 s a push.
    gc.freeze()
    return Client(remote, token_file=token_file)


@contextmanager
def ahead(paths: Sequence[Path], chosen: Options) -> Iterator[Ahead | None]:
    """A scout for one large folder, that sets out before the rest of syncd is even loaded."""
    from syncd.config.places import places
    from syncd.local.ignore import Filter
    from syncd.local.scout import Scout
    from syncd.state.folder import large

    scout = None
    with suppress(OSError):
        if len(paths) == 1 and paths[0].is_dir() and large(places().mirrors, paths[0].resolve()):
            scout = Scout(paths[0], Filter(extensions=chosen.extensions, patterns=chosen.ignore))
    try:
        yield scout.glance if scout else None
    finally:
        if scout:
            scout.close()


def options(
    *,
    preserve_folders: bool,
    flat: bool,
    path: str,
    on_conflict: str | None = None,
    source: str = "",
    extensions: list[str] | None = None,
    on_delete: str | None = None,
    bandwidth: str | None = None,
) -> Options:
    """Mirror options from the command line, on top of the configuration's."""
    from syncd.config.load import load
    from syncd.config.places import places
    from syncd.config.quantity import rate
    from syncd.daemon.choices import options_of
    from syncd.local.kind import EXTENSIONS

    if bandwidth is not None:
        checked_option("--bandwidth", rate, bandwidth)
    if preserve_folders and flat:
        raise UsageError("--preserve-folders and --flat are two different layouts: choose one")
    said = load(places()).mirror
    layout = "tree" if preserve_folders else "flat" if flat else said.layout
    chosen = replace(
        said,
        layout=layout,
        on_delete=on_delete or said.on_delete,
        on_conflict=on_conflict or said.on_conflict,
        source=source or said.source,
        bandwidth=said.bandwidth if bandwidth is None else bandwidth,
        extensions=(*(said.extensions or EXTENSIONS), *(extensions or ())),
    )
    return options_of(chosen, _prefix(path))


def checked(paths: Sequence[Path], dataset: str | None) -> None:
    """Raise for a call that cannot succeed, before a hub is started for it."""
    from syncd.config.checked import checked_name

    for path in paths:
        if not os.path.lexists(path):
            raise NotFoundError("there is no such file or folder", path=str(path))
    if dataset is not None:
        checked_name(dataset)


def _prefix(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise UsageError(f"--path {path!r}: a dataset folder has no . or ..")
    return "/".join(parts)
