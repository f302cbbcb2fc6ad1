"""Values to text or JSON: the only place that decides how things look on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from syncd.daemon.log import Outlet
    from syncd.engine.rehearsal import Rehearsal
    from syncd.engine.report import Failure, Report
    from syncd.model import Item
    from syncd.state.history import Deed
    from syncd.state.report import FileStatus, MirrorStatus

_outlets: list[Outlet] = []
STDERR = 2
LINES = 50
NAMED = 5
"""Failures are told in so many lines at most, so many of one reason by their names."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def out(text: str = "") -> None:
    """One line of result; names with control characters cannot disturb the terminal."""
    print(shown(text))


def note(text: str, level: int = logging.INFO) -> None:
    """One line for a person, beside the result; `level` is for the journal."""
    if _outlets:
        _outlets[-1].say(shown(text), level)
    else:
        print(shown(text), file=sys.stderr, flush=True)


def below(lines: Sequence[str]) -> None:
    """Lines that stay the last ones of the terminal, instead of those given before; only while
    the log is shown."""
    if _outlets:
        _outlets[-1].below("\n".join(map(shown, lines)))


class Notes(logging.Handler):
    """Has what is logged noted, where the log is not shown."""

    def emit(self, record: logging.LogRecord) -> None:
        if not _outlets:
            with suppress(OSError):  # Nobody reads it: what it is about goes on all the same.
                note(f"syncd: {record.getMessage()}", record.levelno)


def log_to_stderr(level: int, *, as_json: bool = False) -> None:
    """Show the log, for what runs until it is stopped; notes go the same way from now on, so
    that a reader that is stuck stops nothing."""
    from syncd.config.places import under_journal
    from syncd.daemon.log import outlet

    _outlets.append(outlet(STDERR, journal=under_journal(STDERR), as_json=as_json))
    # What others log goes the same way: nothing blocks, and no secret gets out.
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_outlets[-1])
    logging.getLogger("syncd").setLevel(level)


def end_log() -> None:
    """Write what still waits; later notes are printed as they come."""
    while _outlets:
        logging.getLogger().removeHandler(_outlets[-1])
        logging.captureWarnings(False)
        _outlets.pop().close()


def as_json(value: Any) -> None:
    """One JSON document a line; all ASCII, so that any terminal and any name can be printed."""
    print(json.dumps(value))


def shown(name: str) -> str:
    """A name as it may be printed: what could move the cursor is written as an escape."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def amount(size: float) -> str:
    """Bytes for people: 3.2 MiB."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


def moment(ns: int | None) -> str | None:
    """Nanoseconds as ISO 8601 in UTC."""
    if ns is None:
        return None
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rows(table: Iterable[Iterable[str]]) -> None:
    """Columns of equal width, two blanks apart; the last one as it is."""
    lines = [[shown(cell) for cell in line] for line in table]
    if not lines:
        return
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths[:-1], strict=True)]
        print("  ".join([*cells, line[-1]]).rstrip())


# --- values ---------------------------------------------------------------------------------------


def some(lines: Iterable[str]) -> None:
    """Notes below what was said, not more than fit a screen or two."""
    found = list(lines)
    for line in found[:LINES]:
        note(f"  {line}")
    if len(found) > LINES:
        note(f"  and {len(found) - LINES} more: --json lists them")


def report(done: Report, *, json: bool, verb: str = "uploaded") -> None:
    """What a push or a pull did."""
    if json:
        as_json(report_fields(done, verb))
        return
    words = [f"{done.uploaded} {verb}", f"{done.skipped} there already"]
    words += [f"{done.renamed} renamed"] if done.renamed else []
    words += _left(done)
    out(f"{shown(done.dataset)}: {', '.join(words)}, {amount(done.bytes)} in {done.seconds:.1f} s")
    _explain(done)


def _left(done: Report) -> list[str]:
    words = [f"{done.ignored} ignored ({by_rule(done.rules)})"] if done.ignored else []
    return words + ([f"{len(done.failed)} failed"] if done.failed else [])


def _explain(done: Report) -> None:
    """Why files are not there, and what to do about it."""
    if done.ignored and not done.attempted:
        note("  no file was taken: --extension EXT takes files that end so")
    lines = list(_failures(done.failed))
    for line in lines[:LINES]:
        note(line)
    if len(lines) < len(done.failed) or len(lines) > LINES:
        note("  one by one, up to a thousand: syncd status --json")
    if any(failure.kind == "conflict" for failure in done.failed):
        note("  to settle a conflict: syncd resolve PATH --local|--remote|--both")
        note("  to keep both whenever a name is taken: --on-conflict suffix")


def _failures(failed: Sequence[Failure]) -> Iterator[str]:
    """One line a file; where many fail for one reason, one for the rest of them."""
    by_reason: dict[str, list[str]] = {}
    for failure in failed:
        by_reason.setdefault(failure.reason, []).append(failure.path)
    for reason, paths in by_reason.items():
        named = paths if len(paths) <= NAMED + 1 else paths[:NAMED]
        yield from (f"  {shown(path)}: {reason}" for path in named)
        if len(named) < len(paths):
            yield f"  {len(paths) - len(named)} more: {reason}"


def by_rule(ignored: Mapping[str, int]) -> str:
    """How many files each rule left out, the most first."""
    found = sorted(ignored.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} {rule}" for rule, count in found)


def plan(found: Rehearsal, *, json: bool) -> None:
    """What a push would do, leave out and not be able to send."""
    steps = [(a.verb.value, a.path, a.key, a.reason) for a in found.actions]
    steps += [("annotate", path, key, "its sidecar") for path, key in found.sidecars]
    done = found.report
    if json:
        told = [dict(zip(("verb", "path", "key", "reason"), step, strict=True)) for step in steps]
        rest = {key: report_fields(done, "uploaded")[key] for key in ("ignored", "failed")}
        as_json({"dataset": done.dataset, "plan": told} | rest)
        return
    for verb, path, key, reason in steps:
        out(f"{verb:8} {shown(path)} -> /{shown(key)} ({reason})")
    words = [f"{len(steps)} to do", *_left(done)]
    out(f"{shown(done.dataset)}: {', '.join(words)}; nothing was sent")
    _explain(done)


def deeds(found: Sequence[tuple[MirrorStatus, Deed]]) -> None:
    """What was done, a line each; into which dataset where that is not the same for all."""
    several = len({mirror.folder for mirror, _ in found}) > 1
    rows(
        (
            moment(deed.at_ns) or "", *([mirror.dataset] if several else []),
            deed.verb, deed.path, deed.reason,
        )
        for mirror, deed in found
    )  # fmt: skip


def report_fields(done: Report, verb: str) -> dict[str, Any]:
    """The contract of `push --json`, and with another verb of `pull --json`."""
    return {
        "dataset": done.dataset,
        "attempted": done.attempted,
        verb: done.uploaded,
        "skipped": done.skipped,
        "renamed": done.renamed,
        "ignored": done.ignored,
        "failed": [{"path": f.path, "reason": f.reason} for f in done.failed],
        "bytes": done.bytes,
        "seconds": float(done.seconds),
        "success": done.success,
    }


def item_fields(item: Item, dataset: str) -> dict[str, Any]:
    """The contract of `ls --json`: one object a line."""
    return {
        "id": item.id,
        "dataset": dataset,
        "folder": item.folder,
        "name": item.name,
        "size": item.size,
        "sha256": item.digest,
        "content_type": item.content_type,
        "modified": moment(item.modified_ns),
        "metadata": dict(item.metadata),
    }


def mirror_fields(mirror: MirrorStatus) -> dict[str, Any]:
    """The contract of `status --json`, per mirror."""
    from syncd.state.history import MOST

    failed = [t for t in mirror.troubles if t.kind in ("failed", "refused")]
    return {
        "name": mirror.name,
        "root": mirror.root,
        "dataset": mirror.dataset,
        "remote": mirror.remote,
        "state": mirror.state,
        "reason": mirror.reason,
        "plan": mirror.plan,
        "synced": mirror.synced,
        "pending": mirror.pending,
        "renamed": mirror.renamed,
        "failed": [
            {"path": t.path, "reason": t.reason, "retry_at": moment(t.retry_ns)} for t in failed
        ]
        + [{"path": path, "reason": why, "retry_at": None} for path, why in mirror.refused],
        "conflicts": [_listed(t.path, t.reason) for t in mirror.troubles if t.kind == "conflict"],
        "held": [_listed(t.path, t.reason) for t in mirror.troubles if t.kind == "held"],
        "ignored": dict(mirror.ignored),
        "last_sweep": moment(mirror.last_sweep),
        "pid": mirror.pid,
        "space": {
            "state_bytes": mirror.space.state,
            "journal_bytes": mirror.space.journal,
            "history_lines": mirror.space.lines,
            "history_lines_limit": MOST,
            "history_days": mirror.space.days,
        },
    }


def file_fields(file: FileStatus, mirror: MirrorStatus) -> dict[str, Any]:
    """The contract of `status PATH --json`."""
    return {
        "path": file.path,
        "root": mirror.root,
        "dataset": mirror.dataset,
        "safe": file.safe,
        "key": file.key,
        "sha256": file.digest,
        "since": moment(file.stored_ns),
        "reason": file.reason,
    }


def deed_fields(deed: Deed, mirror: MirrorStatus) -> dict[str, Any]:
    """The contract of `history --json`: one object a line."""
    return {
        "at": moment(deed.at_ns),
        "path": deed.path,
        "root": mirror.root,
        "dataset": mirror.dataset,
        "verb": deed.verb,
        "reason": deed.reason,
    }


def _listed(path: str, reason: str) -> dict[str, str]:
    return {"path": path, "reason": reason}
