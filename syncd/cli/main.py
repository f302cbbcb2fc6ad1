"""The command `syncd`: the Typer app and how errors become exit codes.

Commands import what they need when they run, so that `syncd --help` is quick.
"""

from __future__ import annotations

import logging
import sys

import typer

from syncd.cli import dataset, hub, mirror, transfer

app = typer.Typer(
    name="syncd",
    help="Mirrors folders of pictures, videos and scans into a dataset, completely and verifiably.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
transfer.add_to(app)
dataset.add_to(app)
mirror.add_to(app)
hub.add_to(app)


def main() -> None:
    """Run the command line; every known error ends in one line and its own exit code."""
    from syncd.errors import SyncdError

    # What concerns files is in the reports; `watch` and `hub` turn the log on.
    logging.getLogger("syncd").addHandler(logging.NullHandler())
    try:
        app()
    except SyncdError as error:
        print(f"syncd: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read our output has seen enough.
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
