"""The command `syncd`: the Typer app and how errors become exit codes.

Commands import what they need when they run, so that `syncd --help` is quick. Whatever goes wrong
is one line on standard error, never a traceback.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

import typer

import syncd
from syncd.cli import render
from syncd.errors import SyncdError

INTERRUPTED = 130
"""Also what typer ends with at Ctrl-C."""
COMMANDS = {
    "mirror": ("watch", "status", "history"),
    "orders": (
        *("retry", "sweep", "approve", "resolve", "pause", "resume", "flush", "metrics"),
        "log-level",
    ),
    "completion": ("completion",),
    "run": ("run",),
    "transfer": ("push", "pull", "get"),
    "dataset": ("ls", "verify", "open", "trash"),
    "annotate": ("annotate",),
    "mount": ("mount", "umount"),
    "hub": ("hub", "doctor", "config"),
    "service": ("service",),
}
"""The modules of the command line, in the order of the help, and the commands of each. To look
through all of them for Typer takes 30 ms, which a call of one command need not pay."""

USAGE = cast(type[Exception], typer.BadParameter.__mro__[2])
"""What Typer raises where a call cannot be understood; it has no public name there."""


def _version(wanted: object) -> None:
    if wanted:
        print(f"syncd {syncd.__version__}")
        raise typer.Exit


def syncd_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Mirrors folders of pictures, videos and scans into a dataset, completely and verifiably.

    Begin with: syncd watch FOLDER
    """


def app(word: str = "") -> typer.Typer:
    """The command line: all of it, or what there is to the command that `word` names."""
    made = typer.Typer(
        name="syncd",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(syncd_)
    own = [module for module, commands in COMMANDS.items() if word in commands]
    for module in own or COMMANDS:
        import_module(f"syncd.cli.{module}").add_to(made)
    return made


def main() -> None:
    """Run the command line; every error ends in one line and its own exit code."""
    if sys.getfilesystemencoding() != "utf-8":
        _begin_anew()
    for stream in (sys.stdout, sys.stderr):
        cast(Any, stream).reconfigure(errors="backslashreplace")
    # What concerns files is in the reports; `watch` and `hub` turn the log on. Only a hub that is
    # slow to start would keep the others waiting without a word.
    notes = render.Notes()
    notes.addFilter(logging.Filter("syncd.daemon.embedded"))
    logging.getLogger("syncd").addHandler(notes)
    try:
        code = _run()
    finally:
        render.end_log()
    sys.exit(code)


def _begin_anew() -> None:
    """Names of files are UTF-8, whatever the language of the terminal is: Python has to know
    before it starts."""
    os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "syncd", *sys.argv[1:]])  # noqa: S606


def _run() -> int:
    try:
        code = app(*sys.argv[1:2])(prog_name="syncd", standalone_mode=False)
        sys.stdout.flush()
        return _interrupted() if code == INTERRUPTED else int(code or 0)
    except SyncdError as error:
        return _told(str(error), error.exit_code)
    except USAGE as error:
        return _misused(error)
    except BrokenPipeError:
        sys.stderr.close()  # Whoever read our output has seen enough.
        return 0
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # noticed by click, which ends with 1
            return 0
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except UnicodeEncodeError as error:
        return _told(f"{error.object!r} is not valid UTF-8", 2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _told(f"{where}{error.strerror or error}", 1)
    except Exception as error:
        return _told(f"unexpected fault: {error!r} (details in {_kept(error)})", 1)


def _interrupted() -> int:
    return _told("interrupted", INTERRUPTED)


def _misused(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "syncd"
    text = error.format_message()
    if text.startswith("Usage:"):  # `syncd` alone: the help is the answer
        print(text, file=sys.stderr)
        return 2
    text = text.replace("Value error, ", "").rstrip(".")
    return _told(f"{text} (see {command} --help)", 2)


def _kept(error: Exception) -> Path:
    """Write down where it happened, for whoever mends it."""
    from syncd.config.places import places

    file = places().state / "fault.log"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.open("a") as out:
        out.write(f"syncd {syncd.__version__}, Python {sys.version}\n")
        traceback.print_exception(error, file=out)
    return file


def _told(text: str, code: int) -> int:
    render.note(f"syncd: {text}", logging.ERROR)
    return code
