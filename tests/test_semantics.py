"""The tables of docs/semantics.md that are made from data are what the data say."""

import re
import sys
from pathlib import Path

from syncd.local.kind import KINDS

DOCUMENT = Path(__file__).parent.parent / "docs" / "semantics.md"
MARKED = re.compile(r"(<!-- extensions: begin -->\n).*?(<!-- extensions: end -->)", re.DOTALL)


def table() -> str:
    lines = ["| kind | extensions |", "|---|---|"]
    lines += [
        f"| {kind} | {' '.join(f'`{ext}`' for ext in found)} |" for kind, found in KINDS.items()
    ]
    return "\n".join(lines) + "\n"


def test_the_list_of_extensions_is_the_one_the_program_has():
    found = MARKED.search(DOCUMENT.read_text())
    assert found is not None
    assert found.group(0) == f"{found.group(1)}{table()}{found.group(2)}"


if __name__ == "__main__" and "--write" in sys.argv:
    DOCUMENT.write_text(
        MARKED.sub(lambda m: f"{m.group(1)}{table()}{m.group(2)}", DOCUMENT.read_text())
    )
