"""completion: the lines that teach a shell to complete syncd's commands and options.

The shell asks syncd itself, by the variable `_SYNCD_COMPLETE`, so nothing here knows any command.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]

from syncd.cli import render


class Shell(StrEnum):
    """Shells that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_LINES = {
    Shell.BASH: """\
_syncd() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
_SYNCD_COMPLETE=complete_bash "$1" 2>/dev/null))
}
complete -o default -F _syncd syncd""",
    Shell.ZSH: """\
#compdef syncd
_syncd() {
    eval "$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _SYNCD_COMPLETE=complete_zsh \
syncd 2>/dev/null)"
}
compdef _syncd syncd""",
    Shell.FISH: """\
complete --command syncd --arguments "(_TYPER_COMPLETE_ARGS=(commandline -cp) \
_TYPER_COMPLETE_FISH_ACTION=get-args _SYNCD_COMPLETE=complete_fish syncd 2>/dev/null)" """,
}


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
) -> None:
    """Print what teaches a shell to complete syncd.

    bash: add `source <(syncd completion bash)` to ~/.bashrc. zsh: the same in ~/.zshrc, after
    compinit. fish: `syncd completion fish > ~/.config/fish/completions/syncd.fish`.
    """
    for line in _LINES[shell].rstrip().splitlines():
        render.out(line)


def add_to(app: typer.Typer) -> None:
    completion_init()
    app.command()(completion)
