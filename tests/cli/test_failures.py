"""What a push says of the files that did not arrive."""

from __future__ import annotations

import pytest

from syncd.cli import render
from syncd.engine.report import Failure, Report


@pytest.fixture
def told(capsys):
    def tell(*failed: Failure) -> list[str]:
        render.report(Report(dataset="d", failed=failed), json=False)
        return [line.strip() for line in capsys.readouterr().err.splitlines()]

    return tell


def failures(count: int, reason: str) -> list[Failure]:
    return [Failure(path=f"{n}.jpg", reason=reason) for n in range(count)]


def test_a_few_are_named(told):
    assert told(*failures(3, "no right")) == [f"{n}.jpg: no right" for n in range(3)]
    assert len(told(*failures(render.NAMED + 1, "no right"))) == render.NAMED + 1


def test_thousands_of_one_reason_do_not_hide_another(told):
    lines = told(*failures(17_600, "does not answer"), Failure(path="x.jpg", reason="no right"))
    assert lines[: render.NAMED] == [f"{n}.jpg: does not answer" for n in range(render.NAMED)]
    assert lines[render.NAMED :] == [
        f"{17_600 - render.NAMED} more: does not answer",
        "x.jpg: no right",
        "one by one, up to a thousand: syncd status --json",
    ]


def test_a_thousand_reasons_are_cut(told):
    lines = told(*(Failure(path=f"{n}.jpg", reason=f"reason {n}") for n in range(1000)))
    assert len(lines) == render.LINES + 1
