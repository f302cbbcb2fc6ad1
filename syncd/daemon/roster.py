"""Which folder goes where: from a call or a configuration to the duties of a daemon.

Pure but for the real paths of folders. What cannot be is said before anything runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from syncd.config.checked import checked_name
from syncd.config.load import load
from syncd.config.parts import Config, MirrorEntry
from syncd.config.places import Places
from syncd.daemon.choices import options_of
from syncd.daemon.remote import Found, resolve
from syncd.engine.errand import distinct, refuse_nesting
from syncd.engine.opening import Target, root_of
from syncd.engine.options import Options
from syncd.errors import ConfigError, UsageError
from syncd.local.ignore import Filter
from syncd.model import OnConflict
from syncd.value import value


@value
class Duty:
    """One folder to be watched, and the remote it goes to. Equal duties need no restart."""

    target: Target
    found: Found


def called(folders: Sequence[Path], to: str | None, found: Found, options: Options) -> list[Duty]:
    """What `syncd watch` is asked to do. Raises UsageError, NotFoundError."""
    roots = list(dict.fromkeys(root_of(folder) for folder in folders))
    refuse_nesting(roots, roots)
    targets = [
        Target(root=root, remote=found.name, dataset=_dataset(root, to), options=options)
        for root in roots
    ]
    return _told_apart([Duty(target=target, found=found) for target in targets])


def configured(where: Places) -> tuple[Config, list[Duty]]:
    """The configuration and the duties that it lists. Raises ConfigError."""
    config = load(where)
    problems: list[str] = []
    duties = []
    for number, entry in enumerate(config.mirrors, start=1):
        try:
            duties.append(_duty(entry, config, where))
        except (ConfigError, UsageError) as error:
            problems.append(f"mirror {number}: {error}")
    if problems:
        raise ConfigError("; ".join(problems), path=str(where.config_file))
    return config, _told_apart(duties)


def _duty(entry: MirrorEntry, config: Config, where: Places) -> Duty:
    options = options_of(entry.choices, entry.path)
    Filter(extensions=options.extensions, patterns=options.ignore)  # a bad pattern is told now
    found = resolve(entry.remote or config.remote, token=None, token_file=None, where=where)
    target = Target(
        root=entry.root, remote=found.name, dataset=_dataset(entry.root, entry.dataset),
        options=options,
    )  # fmt: skip
    return Duty(target=target, found=found)


def _dataset(root: Path, named: str | None) -> str:
    if named is not None:
        return checked_name(named)
    if not root.name:
        raise UsageError("this folder has no name: say which dataset it is for", path=str(root))
    return checked_name(root.name)


def _told_apart(duties: list[Duty]) -> list[Duty]:
    """Where several folders go into one dataset, a name that is taken gets its folder's name."""
    several = Counter((duty.target.remote, duty.target.dataset) for duty in duties)
    sources = distinct(list(dict.fromkeys(duty.target.root for duty in duties)))
    return [
        _beside(duty, sources[duty.target.root])
        if several[duty.target.remote, duty.target.dataset] > 1
        else duty
        for duty in duties
    ]


def _beside(duty: Duty, source: str) -> Duty:
    options = duty.target.options
    options = replace(options, on_conflict=OnConflict.SUFFIX, source=options.source or source)
    return replace(duty, target=replace(duty.target, options=options))
