"""The options that several commands share, each defined once."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from syncd.errors import UsageError

Given = TypeVar("Given")
Value = TypeVar("Value")

Remote = Annotated[
    str | None,
    typer.Option(
        "--remote",
        metavar="URL|NAME",
        help="The hub to use: its address, or a name from the configuration."
        " Default: the embedded hub of this user, or SYNCD_REMOTE.",
    ),
]
MirrorsOf = Annotated[
    str | None,
    typer.Option(
        "--remote",
        metavar="URL|NAME",
        help="Only mirrors to this hub: its address, or a name from the configuration."
        " Default: all mirrors.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="A file that holds the hub's token (or SYNCD_TOKEN)."
    ),
]
TokenOfMirrors = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="A file that holds the hub's token (or SYNCD_TOKEN), where no daemon runs.",
    ),
]
TokenUnasked = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="Taken as everywhere; no hub is asked for this."
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Default: config.toml in the configuration directory."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Bandwidth = Annotated[
    str | None,
    typer.Option(
        "--bandwidth", metavar="RATE", help="Send no faster than this: 5 MB/s, 20 Mbit/s."
    ),
]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Log one JSON object a line, for programs.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but what failed or waits for a person.")
]
PreserveFolders = Annotated[
    bool, typer.Option("--preserve-folders", help="Keep the whole folder structure.")
]
Flat = Annotated[bool, typer.Option("--flat", help="Put every file at the dataset's root.")]
Below = Annotated[
    str, typer.Option("--path", metavar="DIR", help="Put everything below this dataset folder.")
]
Source = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="NAME",
        help="What is added to a name that is taken. Default: this machine's name.",
    ),
]
Extensions = Annotated[
    list[str] | None,
    typer.Option(
        "--extension",
        metavar=".EXT",
        help="Take files of this kind as well as pictures, videos and scans; repeatable."
        " `--extension '*'` takes every file.",
    ),
]


def place(text: str) -> Path:
    """A path. Nothing is none: an empty variable of a shell must not stand for this folder."""
    if not text:
        raise typer.BadParameter("a path is empty: say . for this folder")
    return Path(text)


def checked(option: str, measure: Callable[[Given], Value], given: Given) -> Value:
    """What an option was given, held against its measure. Raises UsageError, with its name."""
    try:
        return measure(given)
    except UsageError as error:
        raise UsageError(f"{option} {error.message}", hint=error.hint) from None


class Delete(StrEnum):
    """What becomes of the item of a file that is gone."""

    TRASH = "trash"
    KEEP = "keep"
    DELETE = "delete"


class Conflict(StrEnum):
    """What happens where a name is taken at the remote by other content."""

    KEEP = "keep"
    SUFFIX = "suffix"


OnConflict = Annotated[
    Conflict | None,
    typer.Option(
        "--on-conflict",
        metavar="keep|suffix",
        help="Where the remote has other content under a name: keep lists it (the default),"
        " suffix stores the file beside it as name~SOURCE.",
    ),
]
OnDelete = Annotated[
    Delete | None,
    typer.Option(
        "--on-delete",
        metavar="trash|keep|delete",
        help="What becomes of the item of a file that is gone. Default: trash.",
    ),
]
