"""How every mirror is: a table on a terminal, lines elsewhere, JSON for programs; once or live."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from syncd.cli import render
from syncd.cli.render import mirror_fields, shown
from syncd.counted import counted

if TYPE_CHECKING:
    from rich.table import Table

    from syncd.daemon.room import Room
    from syncd.state.report import MirrorStatus

EVERY_S = 1.0
ROOMS_S = 30.0
"""How often `--watch` measures what lies around, which takes a walk through it."""
COLORS = {"watching": "green", "scanning": "green", "stopped": "dim"}
TROUBLES = {"failed": "failed", "conflicts": "conflict", "held": "held"}
"""Of many files, and of one."""
LINES = 20
"""So many troubles of a kind are named; `--json` has them all."""

Look = Callable[[], "Sequence[MirrorStatus]"]


def show(look: Look, *, json: bool, watch: bool) -> None:
    """Show what `look` finds, again and again with `watch` until Ctrl-C."""
    if not watch:
        _once(look(), json=json)
        return
    with suppress(KeyboardInterrupt):  # its only end
        if sys.stdout.isatty() and not json:
            _live(look)
        while True:
            _once(look(), json=json)
            sys.stdout.flush()
            time.sleep(EVERY_S)


def _once(mirrors: Sequence[MirrorStatus], *, json: bool) -> None:
    if json:
        space = [{"what": r.what, "bytes": r.bytes, "limit": r.limit} for r in _around()]
        render.as_json({"mirrors": [mirror_fields(mirror) for mirror in mirrors], "space": space})
    elif not mirrors:
        render.out("no folder is mirrored yet: syncd watch FOLDER")
        _say_room()
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(_table(mirrors))
        for mirror in mirrors:
            for line in remarks(mirror):
                render.out(f"{mirror.root}: {line}")
        _say_room()
    else:
        for mirror in mirrors:
            lines(mirror)
        _say_room()


def _around() -> list[Room]:
    from syncd.config.places import places
    from syncd.daemon.room import around

    return around(places())


def _rooms() -> list[str]:
    return [f"{room.what}: {render.amount(room.bytes)} ({room.limit})" for room in _around()]


def _say_room() -> None:
    for line in _rooms():
        render.out(line)


def _live(look: Look) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    rooms: list[str] = []
    measured = -math.inf

    def page() -> Group:
        nonlocal rooms, measured
        if time.monotonic() - measured > ROOMS_S:
            rooms, measured = _rooms(), time.monotonic()
        mirrors = look()
        notes = [f"{shown(m.root)}: {shown(line)}" for m in mirrors for line in remarks(m)]
        return Group(_table(mirrors), *map(Text, [*notes, *rooms]))

    with Live(page(), auto_refresh=False, screen=False) as live:
        while True:
            time.sleep(EVERY_S)
            live.update(page(), refresh=True)


def _table(mirrors: Sequence[MirrorStatus]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("FOLDER", "DATASET", "STATE"):
        table.add_column(name, overflow="fold")
    for name in ("SYNCED", "PENDING", "TROUBLES", "LAST SWEEP", "SPACE"):
        table.add_column(name, justify="right", no_wrap=True)
    for mirror in mirrors:
        fields = mirror_fields(mirror)
        troubles = sum(len(fields[kind]) for kind in TROUBLES)
        state = Text(mirror.state, style=COLORS.get(mirror.state, "yellow"))
        table.add_row(
            Text(shown(mirror.root or mirror.name)), Text(shown(mirror.dataset)), state,
            str(mirror.synced), str(mirror.pending),
            Text(str(troubles), style="red" if troubles else ""),
            ago(mirror.last_sweep), render.amount(mirror.space.bytes),
        )  # fmt: skip
    return table


def lines(mirror: MirrorStatus) -> None:
    """One mirror for a person, without a terminal."""
    fields = mirror_fields(mirror)
    render.out(f"{mirror.root or mirror.name} -> {mirror.dataset or '?'}")
    render.out(f"  {_condition(mirror)}")
    counts = [f"{mirror.synced} synced", f"{mirror.pending} pending"]
    counts += [
        counted(len(fields[kind]), one, kind) for kind, one in TROUBLES.items() if fields[kind]
    ]
    counts += [f"{mirror.renamed} renamed"] if mirror.renamed else []
    render.out(f"  {', '.join(counts)}; last sweep {fields['last_sweep'] or 'never'}")
    for line in remarks(mirror)[1 if mirror.reason else 0 :]:
        render.out(f"  {line}")
    room = fields["space"]
    render.out(
        f"  space: state file {render.amount(room['state_bytes'])}, "
        f"journal {render.amount(room['journal_bytes'])}, history {room['history_lines']} of "
        f"{room['history_lines_limit']} lines, {room['history_days']} days"
    )


def _condition(mirror: MirrorStatus) -> str:
    """The state and its reason, which may begin with it."""
    if mirror.reason.startswith(mirror.state):
        return mirror.reason
    return f"{mirror.state}: {mirror.reason}" if mirror.reason else mirror.state


def remarks(mirror: MirrorStatus) -> list[str]:
    """What a person should know besides the numbers, the state's own reason first."""
    fields: dict[str, Any] = mirror_fields(mirror)
    said = [mirror.reason] if mirror.reason else []
    said += [f"to go on: syncd approve {mirror.plan}"] if mirror.plan else []
    if mirror.ignored:
        said.append(f"ignored: {render.by_rule(mirror.ignored)}")
    for kind, one in TROUBLES.items():
        said += [f"{one}: {entry['path']}: {entry['reason']}" for entry in fields[kind][:LINES]]
        if kind == "conflicts" and fields[kind]:
            said.append("to settle one: syncd resolve PATH --local|--remote|--both")
    return said


def ago(ns: int | None) -> str:
    """How long ago a moment was, roughly."""
    if ns is None:
        return "never"
    seconds = max(0.0, time.time() - ns / 1e9)
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
