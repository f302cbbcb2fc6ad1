"""From the shared options to a client and to mirror options; used by every command."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from syncd.client import Client
    from syncd.engine.options import Options
    from syncd.model import OnConflict


def client(remote: str | None, token_file: Path | None) -> Client:
    """The client the options ask for; the embedded hub is started if need be."""
    from syncd.client import Client

    # What it took to start is never garbage, and looking through it again costs 0.1 s a push.
    gc.freeze()
    return Client(remote, token_file=token_file)


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
    from syncd.config.quantity import hours, rate
    from syncd.engine.options import Options
    from syncd.local.kind import EXTENSIONS
    from syncd.model import Layout, OnConflict, OnDelete
    from syncd.state.history import DAYS

    if preserve_folders and flat:
        raise UsageError("--preserve-folders and --flat are two different layouts: choose one")
    configured = load(places()).mirror
    layout = Layout(configured.layout or Layout.FIRST_LEVEL)
    if preserve_folders or flat:
        layout = Layout.TREE if preserve_folders else Layout.FLAT
    taken = {_extension(e) for e in (*(configured.extensions or EXTENSIONS), *(extensions or ()))}
    beside = OnConflict(on_conflict or configured.on_conflict or OnConflict.KEEP)
    return Options(
        layout=layout,
        prefix=_prefix(path),
        on_delete=OnDelete(on_delete or configured.on_delete or OnDelete.TRASH),
        on_conflict=beside,
        source=source or configured.source or _machine(beside),
        extensions=frozenset() if "*" in taken else frozenset(taken),
        ignore=tuple(configured.ignore),
        rate=rate(bandwidth or configured.bandwidth or "unlimited"),
        hours=hours(configured.active_hours or ""),
        history_days=DAYS if configured.history_days is None else configured.history_days,
    )


def _machine(beside: OnConflict) -> str:
    """This machine's name where files are to be told apart by it."""
    return socket.gethostname().partition(".")[0] if beside == "suffix" else ""


def checked(paths: Sequence[Path], dataset: str | None) -> None:
    """Raise for a call that cannot succeed, before a hub is started for it."""
    from syncd.client import checked_name

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


def _extension(text: str) -> str:
    if text == "*":
        return text
    return (text if text.startswith(".") else f".{text}").lower()
