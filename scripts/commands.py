"""Write docs/commands.md from the program itself: `make docs`; a test compares the two.

What a command or an option does is said once, in its help text.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from typer.main import get_command

from syncd.cli.main import app

FILE = Path(__file__).parent.parent / "docs" / "commands.md"
HEAD = """# Commands

Every command and every option, as `syncd --help` tells them; written by `make docs`.

## Exit codes

| code | meaning |
|---|---|
| 0 | all is well |
| 1 | some files failed; each is named |
| 2 | the call itself is wrong |
| 3 | the configuration is wrong |
| 4 | a dataset, item or path that was named is not there |
| 5 | the remote cannot be reached for now |
| 6 | another instance holds the folder or the data |
| 7 | refused for good: credentials or quota |
| 130 | broken off by Ctrl-C, or by "no" to a question; what runs until then ends with 0 |

## Environment

A command line wins over a variable, and a variable over the configuration file.

| variable | meaning |
|---|---|
| `SYNCD_REMOTE` | the hub to use: an address, or a name from the configuration |
| `SYNCD_TOKEN`, `SYNCD_TOKEN_FILE` | the hub's token, or the file that holds it |
| `SYNCD_CONFIG_DIR`, `SYNCD_STATE_DIR`, `SYNCD_DATA_DIR`, `SYNCD_CACHE_DIR` | folders of one \
instance, instead of `syncd` below the XDG directories |
| `SYNCD_CONFIG_FILE` | the configuration file, which then has to be there |

The XDG variables (`XDG_CONFIG_HOME`, `XDG_STATE_HOME`, `XDG_DATA_HOME`, `XDG_CACHE_HOME`) are
honoured. Other folders make another instance: several run side by side.
"""


def reference() -> str:
    """The whole document."""
    return "\n".join([HEAD, *sections(get_command(app()), "syncd")])


def sections(node: Any, name: str) -> Iterator[str]:
    """A section for each command at or below this one that can be run."""
    below = getattr(node, "commands", None) or {}
    if not below or node.invoke_without_command:
        yield section(node, name)
    for word, command in below.items():
        if not command.hidden:
            yield from sections(command, f"{name} {word}")


def section(node: Any, name: str) -> str:
    shown = [p for p in node.params if not getattr(p, "hidden", False)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option" and p.name != "help"]
    call = " ".join([name, *map(word, arguments)])
    lines = [f"## {name}", "", f"    {call}{' [OPTIONS]' if options else ''}", ""]
    lines += [paragraph(node.help or ""), ""]
    told = [f"* `{word(p)}`: {paragraph(p.help)}" for p in arguments if getattr(p, "help", None)]
    lines += [*told, ""] if told else []
    if options:
        lines += ["| option | meaning |", "|---|---|", *map(row, options), ""]
    return "\n".join(lines)


def word(argument: Any) -> str:
    name = argument.metavar or str(argument.name).upper()
    if not argument.required and not name.startswith("["):
        name = f"[{name}]"
    return f"{name}..." if argument.nargs == -1 and "..." not in name else str(name)


def row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    typed = names if option.is_flag else f"{names} {value(option)}"
    meaning = paragraph(option.help or "")
    default = getattr(option.default, "value", option.default)
    if isinstance(default, str | int) and default and not option.is_flag:
        meaning += f" Default: {default}."
    return "| {} | {} |".format(*(cell.strip().replace("|", "\\|") for cell in (typed, meaning)))


def value(option: Any) -> str:
    """What to type after an option: said by itself, one of a few words, or its own last word."""
    if option.metavar:
        return str(option.metavar)
    if isinstance(option.default, Enum):
        return "|".join(str(choice.value) for choice in type(option.default))
    return str(option.name).rpartition("_")[2].upper()


def paragraph(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    FILE.write_text(reference())
