"""What the daemon counts, as Prometheus reads it.

A sample is one number with labels; whoever has numbers makes samples, and `text` puts those of
many mirrors and mounts together. Counters begin at zero with the process, as Prometheus expects.
No client library: the text is small, and `syncd metrics` has to be quick.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from syncd.engine.mirror import Mirror
from syncd.value import value

PREFIX = "syncd_"


@value
class Sample:
    """One number; `kind` is counter or gauge, `help` says what it counts."""

    name: str
    kind: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def of_mirror(mirror: Mirror) -> list[Sample]:
    """The numbers of one mirror; called by its control thread."""
    tally, state, now = mirror.tally, mirror.state, mirror.clock.now_ns()
    labels = {"root": str(mirror.subject.root), "dataset": mirror.dataset.info.name}
    pending = state.agenda.pending()
    swept, away = state.meta.get("last_sweep"), state.meta.get("away")
    counters = {
        "stored_total": ("Files stored", tally.uploaded),
        "stored_bytes_total": ("Bytes of bodies sent", tally.bytes),
        "moved_total": ("Items moved", tally.moved),
        "removed_total": ("Items removed", tally.removed),
        "adopted_total": ("Items found at the remote with the same content", tally.adopted),
        "retries_total": ("Tries that failed and are made again", tally.retries),
        "overflows_total": ("Times that events may have been lost", tally.doubts),
    }
    gauges = {
        "files": ("Files seen by the last scan", mirror.observer.files),
        "pending": ("Files that wait to be dealt with", pending.files),
        "pending_age_seconds": ("How long the oldest of them is due", _age(pending.first_ns, now)),
        "troubled": ("Files not in sync for a reason that stays", state.troubles.count()),
        "sweep_age_seconds": ("Since the last full scan", _age(swept, now)),
        "sweep_seconds": ("What the last full scan took", mirror.sweep_seconds),
        "away": ("1 where the remote does not answer", bool(away)),
        "paused": ("1 where nothing is sent", bool(mirror.guard.closed or mirror.resting)),
    }
    made = [Sample(name=n, kind="counter", help=h, value=v, labels=labels)
            for n, (h, v) in counters.items()]  # fmt: skip
    return made + [Sample(name=n, kind="gauge", help=h, value=float(v), labels=labels)
                   for n, (h, v) in gauges.items()]  # fmt: skip


def text(samples: Iterable[Sample]) -> str:
    """All samples in Prometheus' text format, each name described once."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    lines: list[str] = []
    for name, group in sorted(by_name.items()):
        lines += [
            f"# HELP {PREFIX}{name} {group[0].help}",
            f"# TYPE {PREFIX}{name} {group[0].kind}",
        ]
        lines += [f"{PREFIX}{name}{_labels(s.labels)} {_number(s.value)}" for s in group]
    return "".join(f"{line}\n" for line in lines)


def to_fields(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Samples as they travel over a control socket."""
    return [
        {"name": s.name, "kind": s.kind, "help": s.help, "value": s.value, "labels": dict(s.labels)}
        for s in samples
    ]


def from_fields(found: Iterable[Mapping[str, Any]]) -> list[Sample]:
    return [Sample(**fields) for fields in found]


def _age(then: int | None, now: int) -> float:
    return max(0.0, (now - then) / 1e9) if then else 0.0


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    plain = value.encode(errors="replace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
