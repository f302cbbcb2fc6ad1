"""annotate: what people and models say about pictures, from a JSON document into a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli import options as o
from syncd.cli import reach, render
from syncd.errors import UsageError

if TYPE_CHECKING:
    from syncd.engine.annotate import AnnotationReport


def annotate(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="The JSON document.")],
    operation: Annotated[
        str,
        typer.Option(
            "--operation",
            metavar="ID",
            help="The annotation project or model run: the same one replaces, another adds.",
        ),
    ],
    model: Annotated[
        bool | None,
        typer.Option("--model/--human", help="Made by a model, or by people: say which."),
    ] = None,
    normalized: Annotated[
        bool,
        typer.Option(
            "--normalized", help="Coordinates are parts of the picture's width and height."
        ),
    ] = False,
    folder: Annotated[
        str,
        typer.Option("--folder", metavar="DIR", help="Where in the dataset the images lie."),
    ] = "",
    json: o.Json = False,
    remote: o.Remote = None,
    token_file: o.TokenFile = None,
) -> None:
    """Store annotations of pictures.

    Rectangles, polygons, lines and points. What cannot be stored is listed with its place in the
    document; the rest is stored.
    """
    if model is None:
        raise UsageError("say who made these annotations: --human or --model")
    reach.checked([file], dataset)
    with reach.client(remote, token_file) as client:
        done = client.dataset(dataset, create=False).annotate(
            file, operation=operation, model=model, normalized=normalized, folder=folder
        )
    if json:
        render.as_json(_fields(done, operation))
    else:
        _tell(done)
    if not done.success:
        raise typer.Exit(1)


def _fields(done: AnnotationReport, operation: str) -> dict[str, object]:
    """The contract of `annotate --json`."""
    return {
        "dataset": done.dataset,
        "operation": operation,
        "images": done.images,
        "annotations": done.annotations,
        "changed": done.changed,
        "failed": [
            {"pointer": f.pointer, "image": f.image, "reason": f.reason} for f in done.failed
        ],
        "success": done.success,
    }


def _tell(done: AnnotationReport) -> None:
    words = [f"{done.annotations} annotations of {done.images} images stored"]
    words += [f"{done.changed} changed"]
    words += [f"{len(done.failed)} failed"] if done.failed else []
    render.out(f"{done.dataset}: {', '.join(words)}")
    render.some(map(str, done.failed))


def add_to(app: typer.Typer) -> None:
    app.command()(annotate)
