"""`python -m bench [PART...]`: syncd beside its peers, in one run on one machine.

The report goes to standard output as Markdown, what goes on to standard error. Exits with 1 when
a number that has to be reached was not, and with 2 when a run could not be measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import facts, idle, latency, memory, mount, noop, ours, upload
from bench.contest import say
from bench.measure import BenchError
from bench.report import Section

Part = Callable[[argparse.Namespace, Path], Iterator[Section]]


def main() -> int:
    choice = _arguments()
    if not ours.available():
        say("`python -m syncd` does not start: install syncd for this Python first")
        return 2
    choice.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="syncd-bench-", dir=choice.work) as folder:
        found = facts.facts(Path(folder))
        print(f"# syncd beside its peers\n\n{facts.markdown(found)}\n", flush=True)
        if choice.scale != 1:
            print(f"**At scale {choice.scale:g}: the verdicts say nothing yet.**\n", flush=True)
        sections, errors = _sections(choice, Path(folder))
    if choice.json:
        told = {"facts": found, "sections": [one.as_json() for one in sections], "errors": errors}
        choice.json.write_text(json.dumps(told, indent=1) + "\n")
    if errors:
        return 2
    return int(any(not claim.reached for section in sections for claim in section.claims))


def _sections(choice: argparse.Namespace, work: Path) -> tuple[list[Section], list[str]]:
    """Run the parts; one that cannot be measured is reported, and the others go on."""
    sections, errors = [], []
    for name in PARTS if "all" in choice.part else choice.part:
        try:
            for section in PARTS[name](choice, work):
                sections.append(section)
                print(section.markdown(), flush=True)
        except BenchError as error:
            errors.append(f"{name}: {error}")
            print(f"## {name}\n\n**Could not be measured.** {error}\n", flush=True)
    return sections, errors


def _uploads(choice: argparse.Namespace, work: Path) -> Iterator[Section]:
    for name in choice.workload or ("W1", "W2", "W3"):
        yield upload.measure(name, work=work, **_turns(choice))


def _noops(choice: argparse.Namespace, work: Path) -> Iterator[Section]:
    for name in choice.workload or ("W1", "W4"):
        yield noop.measure(name, work=work, **_turns(choice))


def _pace(pace: float) -> Part:
    def part(choice: argparse.Namespace, work: Path) -> Iterator[Section]:
        yield latency.measure(pace=pace, work=work, **_turns(choice))

    return part


def _memory(choice: argparse.Namespace, work: Path) -> Iterator[Section]:
    yield memory.measure(work=work, scale=choice.scale)


def _idle(choice: argparse.Namespace, work: Path) -> Iterator[Section]:
    yield idle.measure(work=work, scale=choice.scale)


def _mounts(choice: argparse.Namespace, work: Path) -> Iterator[Section]:
    for name in choice.workload or ("W1", "W2", "W3"):
        yield mount.measure(name, work=work, **_turns(choice))


PARTS: dict[str, Part] = {
    "upload": _uploads,
    "noop": _noops,
    "latency": _pace(latency.PACE),
    "burst": _pace(0),
    "memory": _memory,
    "idle": _idle,
    "mount": _mounts,
}


def _turns(choice: argparse.Namespace) -> dict[str, Any]:
    return {"runs": choice.runs, "scale": choice.scale, "wait": choice.wait}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "part", nargs="*", default="all", choices=[*PARTS, "all"], help="default: all"
    )
    parser.add_argument("--workload", action="append", choices=["W1", "W2", "W3", "W4"])
    parser.add_argument("--runs", type=int, default=3, help="turns of every contestant")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of files")
    parser.add_argument("--wait", type=float, default=12.0, help="seconds to wait for quiet")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="on a real disk")
    parser.add_argument("--json", type=Path, help="write every single run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
