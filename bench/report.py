"""What a part found, as Markdown and as JSON: a table, the claims and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A number that has to be reached (`must`) and one that is hoped for (`aim`).

    `disturbed` says that somebody else used the machine while it was measured.
    """

    text: str
    value: float
    must: float
    aim: float | None = None
    sense: Literal["at least", "at most"] = "at least"
    unit: str = ""
    spread: tuple[float, float] | None = None
    disturbed: bool = False

    @property
    def reached(self) -> bool:
        return self._reaches(self.must)

    @property
    def verdict(self) -> str:
        if not self.reached:
            words = "**not met**"
        elif self.aim is not None and not self._reaches(self.aim):
            words = "met, aim not"
        else:
            words = "met"
        return f"{words} (disturbed)" if self.disturbed else words

    def cells(self) -> list[str]:
        measured = _figure(self.value)
        if self.spread:
            measured += f" ({_figure(self.spread[0])} to {_figure(self.spread[1])})"
        aim = "" if self.aim is None else f" / {_figure(self.aim)}"
        return [
            self.text,
            f"{measured} {self.unit}".strip(),
            f"{self.sense} {_figure(self.must)}{aim} {self.unit}".strip(),
            self.verdict,
        ]

    def _reaches(self, bound: float) -> bool:
        return self.value >= bound if self.sense == "at least" else self.value <= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part on one workload. `raw` is what goes to the JSON file."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    claims: Sequence[Claim]
    notes: Sequence[str] = ()
    raw: dict[str, Any] = field(default_factory=dict)

    def markdown(self) -> str:
        parts = [f"## {self.heading}", table(self.columns, self.rows)]
        if self.claims:
            head = ["claim", "measured (range)", "must / aim", "verdict"]
            parts.append(table(head, [claim.cells() for claim in self.claims]))
        parts += self.notes
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, Any]:
        names = ("text", "value", "must", "aim", "sense", "unit", "spread", "verdict")
        claims = [{name: getattr(claim, name) for name in names} for claim in self.claims]
        return {"heading": self.heading, "claims": claims, **self.raw}


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows))


def milliseconds(nanoseconds: float) -> float:
    return nanoseconds / 1e6


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f}" if size else "-"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
