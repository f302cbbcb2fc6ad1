"""The form of the code: sizes, depth, names, docstrings, and words that do not belong here.

A cap is where a file or function is too much for one reader; it is raised for nobody.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.sources import ROOT, Source, fail_with, sources, texts

FILE_LINES, FILE_TARGET = 400, 220
FUNCTION_LINES = 50
PUBLIC_METHODS = 12
NESTING = 4

CODE = sources("syncd", "bench", "scripts", "tests")
VAGUE = {"util", "utils", "helper", "helpers", "manager", "handler", "process", "common", "misc"}
PLATFORMS = ("v7", "darwin", "nucleus", "layernext", "pictograph", "encord")

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


def functions(source: Source) -> Iterator[Function]:
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def length(node: Function) -> int:
    """Lines of a body: the signature is a table, the docstring is free, and functions within it
    count by themselves."""
    body = node.body[ast.get_docstring(node, clean=False) is not None :]
    lines = (node.end_lineno or 0) - first_line(body[0]) + 1 if body else 0
    within = [child for child in body if isinstance(child, Function)]
    return lines - sum((child.end_lineno or 0) - first_line(child) + 1 for child in within)


def first_line(node: ast.stmt) -> int:
    return min((d.lineno for d in getattr(node, "decorator_list", [])), default=node.lineno)


def depth(node: ast.AST) -> int:
    """How deep blocks lie within blocks; an `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        chained = isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If)
        inside = isinstance(child, BLOCKS) and not chained
        deepest = max(deepest, depth(child) + inside)
    return deepest


def test_no_file_is_too_long():
    counts = {source.where: source.text.count("\n") for source in CODE}
    for where, lines in counts.items():
        if FILE_TARGET < lines <= FILE_LINES:
            print(f"{where}: {lines} lines, the target is {FILE_TARGET}")
    fail_with([f"{where}: {n} lines" for where, n in counts.items() if n > FILE_LINES])


def test_no_function_is_too_long():
    fail_with([
        f"{source.where}:{node.lineno}: {node.name} has {length(node)} lines"
        for source in CODE
        for node in functions(source)
        if length(node) > FUNCTION_LINES
    ])  # fmt: skip


def test_no_function_nests_too_deep():
    fail_with([
        f"{source.where}:{node.lineno}: {node.name} nests {depth(node)} deep"
        for source in CODE
        for node in functions(source)
        if depth(node) > NESTING
    ])  # fmt: skip


def test_no_class_has_too_many_doors():
    bad = []
    for source in sources("syncd", "bench", "scripts"):  # a state machine for tests has its rules
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                methods = [m for m in node.body if isinstance(m, Function)]
                public = [m for m in methods if not m.name.startswith(("_", "test_"))]
                if len(public) > PUBLIC_METHODS:
                    bad.append(
                        f"{source.where}:{node.lineno}: {node.name} has {len(public)} methods"
                    )
    fail_with(bad)


def test_names_say_what_a_module_owns():
    fail_with([
        f"{source.where}: {word!r} says nothing"
        for source in CODE
        for word in source.path.stem.split("_")
        if word in VAGUE
    ])  # fmt: skip


def test_every_module_says_what_it_owns():
    fail_with([
        f"{source.where}:1: no module docstring"
        for source in CODE
        if source.text.strip() and not ast.get_docstring(source.tree)
    ])  # fmt: skip


def test_flags_are_named_where_they_are_passed():
    """`scan(root, True)` tells a reader nothing: booleans are keyword-only."""
    bad = []
    for source in sources("syncd"):
        for node in functions(source):
            arguments = [*node.args.posonlyargs, *node.args.args]
            if any(a.annotation and ast.unparse(a.annotation) == "bool" for a in arguments):
                bad.append(f"{source.where}:{node.lineno}: {node.name} takes a positional bool")
    fail_with(bad)


@dataclass(frozen=True)
class Word:
    pattern: str
    why: str


WORDS = (
    Word(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b", "is work left undone"),
    Word(r"(?<![\w.~)}*-])/(wor[k]|op[t]|roo[t]|Users)/\w", "is a place of one machine"),
    Word(r"\b(pyp[i]|pythonhoste[d]|npmj[s]|deb\.debia[n])\.\w", "is the host of a registry"),
    Word(r"\bnot yet implemente[d]\b|\bcoming soo[n]\b", "is a promise, not a fact"),
)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.why)
def test_the_repository_speaks_of_syncd_alone(word):
    pattern = re.compile(word.pattern)
    fail_with([
        f"{path.relative_to(ROOT)}:{number}: {found[0]!r} {word.why}"
        for path in texts()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if (found := pattern.search(line))
    ])  # fmt: skip


def test_a_platform_is_named_by_its_own_adapter_alone():
    # `sys.platform == "darwin"` is an operating system, not a platform for labels
    pattern = re.compile(rf"(?i)(?<!platform == .)\b({'|'.join(PLATFORMS)})\b")
    fail_with([
        f"{source.where}:{number}: {found[0]!r}"
        for source in sources("syncd")
        for number, line in enumerate(source.text.splitlines(), start=1)
        if (found := pattern.search(line))
        and not source.where.startswith(f"syncd/remotes/{found[0].lower()}")
    ])  # fmt: skip


def parsed(code: str) -> Function:
    node = ast.parse(code).body[0]
    assert isinstance(node, Function)
    return node


def test_the_measures_measure():
    assert length(parsed('def f():\n    """One.\n\n    Two."""\n    return 1')) == 1
    assert length(parsed("def f():\n    @d\n    def g():\n        return 1\n    return g")) == 1
    assert depth(parsed("def f():\n if a:\n  for b in c:\n   with d:\n    pass")) == 3
    assert depth(parsed("def f():\n if a:\n  b\n elif c:\n  d\n elif e:\n  f")) == 1
    assert depth(parsed("def f():\n if a:\n  def g():\n   if b:\n    c")) == 1
    assert re.search(WORDS[1].pattern, "see /ro" + "ot/x")
    assert not re.search(WORDS[1].pattern, "{folder}/wor" + "k/x and a/op" + "t/b")
