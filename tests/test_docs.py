"""The documents tell what is there: commands, options, variables, targets and links.

Both ways: nothing that a user can type goes unmentioned, and nothing mentioned is missing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import scripts.commands as commands_document
from syncd.cli.main import app
from tests.sources import ROOT, fail_with, sources

DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
MANUAL = [path for path in DOCUMENTS if path.name not in ("CHANGELOG.md", "CONTRIBUTING.md")]
SHELL = ("sh", "bash", "console", "shell", "")
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
VARIABLE = re.compile(r"\bSYNCD_(?:[A-Z_]|\{\w+\})+")
COMPLETION = {"--install-completion", "--show-completion", "--help"}


@dataclass(frozen=True)
class Line:
    """One command in a fenced shell block, joined where it runs over several lines."""

    where: str
    words: tuple[str, ...]


def commands(node: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a Typer application, by its words: `("trash", "list")`."""
    below = getattr(node, "commands", {})
    if not below or getattr(node, "invoke_without_command", False):
        yield name, node
    for word, command in below.items():
        yield from commands(command, (*name, word))


@cache
def known() -> dict[tuple[str, ...], set[str]]:
    """Each command's words and the options it takes."""
    return {
        name: {o for p in node.params for o in (*p.opts, *p.secondary_opts) if o.startswith("-")}
        for name, node in commands(get_command(app()))
    }


def common() -> set[str]:
    return {option for p in get_command(app()).params for option in p.opts} | COMPLETION | {"--"}


def shell_lines(document: Path) -> Iterator[Line]:
    inside = False
    pending = ""
    for number, text in enumerate(document.read_text().splitlines(), start=1):
        fence = re.match(r"\s*```(\w*)", text)
        if fence:
            inside = not inside and fence[1] in SHELL
        elif inside:
            pending += text.strip().removeprefix("$ ")
            if pending.endswith("\\"):
                pending = pending[:-1]
                continue
            yield Line(f"{document.relative_to(ROOT)}:{number}", words(pending))
            pending = ""


def words(line: str) -> tuple[str, ...]:
    """The words of a command, its comment and anything after a pipe left out."""
    try:
        found = shlex.split(re.split(r"\s#|[|>;&]", line)[0])
    except ValueError:  # prose or output with a lone quote
        return ()
    while found and re.match(r"[A-Z_]+=", found[0]):
        del found[0]
    return tuple(found)


def manual() -> str:
    return "\n".join(path.read_text() for path in MANUAL)


def test_the_reference_says_what_the_program_says():
    assert commands_document.FILE.read_text() == commands_document.reference(), "run `make docs`"


def test_every_command_is_documented():
    text = manual()
    fail_with([
        f"syncd {' '.join(name)}: named in no document"
        for name in known()
        if name and not re.search(rf"\bsyncd {' '.join(name)}\b", text)
    ])  # fmt: skip


def test_every_option_is_documented():
    text = manual()
    fail_with([
        f"syncd {' '.join(name)} {option}: named in no document"
        for name, options in known().items()
        for option in sorted(options - COMPLETION)
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", text)
    ])  # fmt: skip


WITHOUT_JSON = {
    "watch": "runs until it is stopped; --log-json is its form for programs",
    "run": "as watch",
    "mount": "as watch",
    "hub": "as watch",
    "completion": "prints what a shell reads",
    "metrics": "prints what Prometheus reads",
    "open": "prints a link and nothing else",
    "flush": "its exit status says all",
    "log-level": "its exit status says all",
    "umount": "its exit status says all",
    "service install": "for a person who sets up a machine",
    "service uninstall": "for a person who sets up a machine",
}
WITHOUT_REMOTE = {
    "resolve": "--remote says which side is right; PATH says which mirror",
    "run": "the configuration says so of each mirror",
    "hub": "is the remote",
    "hub backup": "of a data folder on this machine",
    "hub restore": "of a data folder on this machine",
    "umount": "of a mount point on this machine",
    "metrics": "of all that runs on this machine",
    "log-level": "of all that runs on this machine",
    "completion": "of a shell on this machine",
    "service uninstall": "of units on this machine",
    "service status": "of units on this machine",
}


@pytest.mark.parametrize(
    ("option", "without"), [("--json", WITHOUT_JSON), ("--remote", WITHOUT_REMOTE)]
)
def test_every_command_takes_the_common_options_or_has_a_reason_not_to(option, without):
    lack = {" ".join(name) for name, options in known().items() if name and option not in options}
    if option == "--remote":
        lack.add("resolve")
    fail_with([f"syncd {name} takes no {option}" for name in sorted(lack - set(without))])
    fail_with([f"syncd {name} takes {option} by now" for name in sorted(set(without) - lack)])


def test_every_variable_is_documented_and_every_documented_one_is_read():
    read = {name for source in sources("syncd") for name in VARIABLE.findall(source.text)}
    told = set(VARIABLE.findall(manual()))
    fail_with(
        [f"{name}: read, but not documented" for name in sorted(read) if not known_as(name, told)]
        + [
            f"{name}: documented, but never read"
            for name in sorted(told)
            if not is_read(name, read)
        ]
    )


def known_as(name: str, told: set[str]) -> bool:
    """A name put together from parts, like `SYNCD_{kind}_DIR`, is told by any that fits."""
    return any(re.fullmatch(re.sub(r"\{\w+\}", "[A-Z]+", name), other) for other in told)


def is_read(name: str, read: set[str]) -> bool:
    return any(known_as(other, {name}) for other in read)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_shown_exist(document):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    bad = []
    for line in shell_lines(document):
        if line.words[:1] == ("make",):
            wanted = [word for word in line.words[1:] if "=" not in word]
            bad += [f"{line.where}: no make {word}" for word in wanted if word not in targets]
        elif line.words[:1] == ("syncd",):
            bad += [f"{line.where}: {problem}" for problem in wrong_in(line.words[1:])]
    fail_with(bad)


def wrong_in(words: tuple[str, ...]) -> list[str]:
    """What a shown call of syncd says that syncd would not understand."""
    given = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    plain = tuple(word for word in words if not word.startswith("-"))
    fitting = [name for name in known() if name and plain[: len(name)] == name]
    if not fitting:
        return [] if set(given) <= common() and not plain else [f"no syncd {' '.join(words)}"]
    name = max(fitting, key=len)
    unknown = [option for option in given if option not in known()[name] | common()]
    return [f"syncd {' '.join(name)} takes no {option}" for option in unknown]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    bad = []
    for number, text in enumerate(document.read_text().splitlines(), start=1):
        for target in (a or b for a, b in LINK.findall(text)):
            if not re.match(r"[a-z]+:", target) and not leads_somewhere(document, target):
                bad.append(f"{document.relative_to(ROOT)}:{number}: {target} leads nowhere")
    fail_with(bad)


def leads_somewhere(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = document.parent / name if name else document
    return path.exists() and (not anchor or anchor in anchors(path))


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    dated = r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d"
    assert [name for name in sections[1:] if not re.fullmatch(dated, name)] == []
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
