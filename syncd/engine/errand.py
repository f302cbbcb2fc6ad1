"""What one `push` call comes to: a mirror per folder, and the files named one by one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from syncd.engine.opening import Target, root_of
from syncd.engine.options import Options
from syncd.engine.report import Failure, Report
from syncd.errors import NotFoundError, UsageError
from syncd.local.mounts import mounts_of
from syncd.local.scan import NOT_UTF8, carried, shown
from syncd.model import OnConflict
from syncd.value import value

MOUNTED = "fuse.syncd"
"""The type of the file systems that `syncd mount` makes."""


@value
class Errand:
    """A folder to push, whole or, where `names` are given, only those files in it; `refused` are
    named ones that cannot be carried."""

    target: Target
    names: tuple[str, ...] = ()
    refused: tuple[Failure, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether files were named, and none is left to be sent."""
        return bool(self.refused) and not self.names


def group(paths: Sequence[Path], dataset: str, remote: str, options: Options) -> list[Errand]:
    """One errand per folder, and one per folder that single files lie in.

    Where several folders go into one dataset, a name that is taken gets its folder's name.
    Raises NotFoundError for a path that is not there, UsageError for folders within folders.
    """
    if not paths:
        raise UsageError("there is nothing to push: name a folder or a file")
    wanted: dict[Path, list[str] | None] = {}
    for path in paths:
        if path.is_dir():
            wanted[root_of(path)] = None
        elif path.exists() or path.is_symlink():
            names = wanted.setdefault(root_of(path.parent), [])
            if names is not None and path.name not in names:
                names.append(path.name)
        else:
            raise NotFoundError("there is no such file or folder", path=str(path))
    refuse_nesting(list(wanted), [root for root, names in wanted.items() if names is None])
    sources = distinct(list(wanted))
    return [
        Errand(
            target=Target(
                root=root, remote=remote, dataset=dataset,
                options=_beside(options, sources[root]) if len(wanted) > 1 else options,
            ),
            names=tuple(name for name in names or () if carried(name)),
            refused=tuple(
                Failure(path=shown(name), reason=NOT_UTF8, kind="refused")
                for name in names or () if not carried(name)
            ),
        )
        for root, names in wanted.items()
    ]  # fmt: skip


def refuse_nesting(roots: Sequence[Path], whole: Sequence[Path]) -> None:
    """Raise UsageError where a root lies in a whole folder: its files would be stored twice.

    The same goes for a whole folder and a mounted dataset."""
    for root in whole:
        for other in roots:
            if root in other.parents:
                raise UsageError(f"lies inside {root}: name only one of them", path=str(other))
        _refuse_mounts(root)


def _refuse_mounts(root: Path) -> None:
    real = os.fsencode(root)
    for mount in mounts_of(real):
        if mount.type == MOUNTED:
            place = os.fsdecode(mount.point)
            within = mount.point.startswith(real + b"/")
            words = f"a dataset is mounted within, on {place}" if within else (
                f"lies on the dataset mounted on {place}: what is there is stored already"
            )  # fmt: skip
            raise UsageError(words, path=str(root), hint="name a folder apart from it")


def distinct(roots: Sequence[Path]) -> dict[Path, str]:
    """A name for each root, as short an end of its path as tells them apart."""
    for depth in range(1, 64):
        names = {root: "~".join(root.parts[1:][-depth:]) or "root" for root in roots}
        if len(set(names.values())) == len(names):
            return names
    return {root: str(root).strip("/").replace("/", "~") for root in roots}


def _beside(options: Options, source: str) -> Options:
    return replace(options, on_conflict=OnConflict.SUFFIX, source=options.source or source)


def merge(dataset: str, errands: Sequence[Errand], reports: Sequence[Report]) -> Report:
    """One report of several; where there are several, paths are given in full."""
    reports = [_with_refused(e, r) for e, r in zip(errands, reports, strict=True)]
    if len(errands) > 1:
        reports = [_in_full(e.target.root, r) for e, r in zip(errands, reports, strict=True)]
    return Report(
        dataset=dataset,
        attempted=sum(r.attempted for r in reports),
        uploaded=sum(r.uploaded for r in reports),
        skipped=sum(r.skipped for r in reports),
        renamed=sum(r.renamed for r in reports),
        rules=_added(reports),
        failed=[failure for r in reports for failure in r.failed],
        bytes=sum(r.bytes for r in reports),
        seconds=round(sum(r.seconds for r in reports), 3),
        away=next((r.away for r in reports if r.away), None),
        full=any(r.full for r in reports),
    )


def _with_refused(errand: Errand, report: Report) -> Report:
    attempted = report.attempted + len(errand.refused)
    return replace(report, attempted=attempted, failed=(*report.failed, *errand.refused))


def _added(reports: Sequence[Report]) -> dict[str, int]:
    rules: Counter[str] = Counter()
    for report in reports:
        rules.update(report.rules)
    return dict(rules)


def _in_full(root: Path, report: Report) -> Report:
    failed = [replace(failure, path=str(root / failure.path)) for failure in report.failed]
    return replace(report, failed=tuple(failed))
