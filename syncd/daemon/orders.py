"""Orders to mirrors: told to the daemon that has one, or carried out here where none has."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from syncd.config.places import places
from syncd.daemon.control import NAME, ask
from syncd.daemon.metrics import Sample, from_fields
from syncd.daemon.overview import every_mirror, of_folder, owners
from syncd.errors import NotFoundError, SyncdError, TransientError, UsageError
from syncd.state.lock import holder
from syncd.state.report import MirrorStatus, file_status
from syncd.value import value


@value
class Reply:
    """What a mirror said to an order, or why it could not be told."""

    root: str
    dataset: str
    said: str = ""
    error: SyncdError | None = None

    @property
    def name(self) -> str:
        """Which mirror it is: a folder may have several."""
        return f"{self.root} -> {self.dataset or '?'}"


def tell_all(
    words: Sequence[str],
    remote: str | None = None,
    below: Path | None = None,
    token_file: Path | None = None,
) -> Iterator[Reply]:
    """Have every mirror do something, or that of one folder; one that cannot stops no other.

    `token_file` is for those that no daemon runs, where their hub has to be asked."""
    found = every_mirror(remote)
    if not found:
        raise NotFoundError("no folder is mirrored yet")
    if below is not None:
        found = of_folder(below, remote)
    _check_token(found, token_file, hint="--remote says which")
    return (_reply(mirror, words, token_file) for mirror in found)


def tell_running(words: Sequence[str], remote: str | None = None) -> list[Reply]:
    """Have every mirror that a daemon watches do something; raises what one of them raises."""
    running = [mirror for mirror in every_mirror(remote) if mirror.pid is not None]
    if not running:
        raise NotFoundError("no daemon runs", hint="syncd watch FOLDER")
    return [_said(mirror, ask(mirror.folder, list(words))) for mirror in running]


def flush_all(remote: str | None, timeout: float) -> list[str]:
    """Have all that waits in running mirrors sent now. Raises TransientError at the deadline."""
    told = tell_running(["flush"], remote)
    deadline = time.monotonic() + timeout
    while left := [reply for reply in tell_running(["left"], remote) if reply.said]:
        if time.monotonic() >= deadline:
            raise TransientError("some files are still on their way", path=left[0].name)
        time.sleep(0.1)
    return [f"{reply.name}: all that was to be sent is settled" for reply in told]


def samples() -> list[Sample]:
    """The numbers of everything that runs now; what does not answer is left out."""
    found: list[Sample] = []
    for folder in _listening():
        with suppress(SyncdError, ValueError, TypeError):
            found += from_fields(json.loads(ask(folder, ["metrics"])))
    return found


def log_levels(level: str | None) -> list[str]:
    """Have all mirrors and mounts that run say, or set, how much they log. Raises UsageError."""
    said = []
    for folder in _listening():
        with suppress(TransientError):
            said.append(ask(folder, ["log-level", *([level] if level else [])]))
    if not said:
        raise NotFoundError("no daemon runs", hint="syncd watch FOLDER")
    return said


def _listening() -> list[Path]:
    """Where something that runs takes orders; what was killed may have left its socket."""
    return [socket.parent for socket in sorted(places().state.glob(f"*/*/{NAME}"))]


def approve(plan: str, remote: str | None = None, token_file: Path | None = None) -> Reply:
    """Have the mirror that asked about a plan carry it out. Raises NotFoundError where none did.

    The one that says so is asked first; of the others, one that cannot be asked is not it."""
    found = sorted(every_mirror(remote), key=lambda mirror: mirror.plan != plan)
    _check_token(found, token_file, hint="--remote says which")
    silent = []
    for mirror in found:
        reply = _reply(mirror, ["approve", plan], token_file)
        if reply.error is None:
            return reply
        if mirror.plan == plan:
            raise reply.error
        if not isinstance(reply.error, NotFoundError):
            silent.append(f"{reply.name} could not be asked: {reply.error}")
    if not found:
        raise NotFoundError("no folder is mirrored yet")
    hint = "; ".join(silent) or "see syncd status"
    raise NotFoundError(f"no plan {plan!r} waits for approval", hint=hint)


def tell_owner(path: Path, words: Sequence[str], token_file: Path | None = None) -> str:
    """Have the mirror of a file do something about it: the words, then the path."""
    refusal = NotFoundError("no mirror knows this file", path=str(path), hint="see syncd status")
    verb, *rest = words
    known = owners(path)
    _check_token(
        [mirror for mirror, _ in known], token_file,
        hint="`token` in [remotes.NAME] of the configuration is each one's own",
    )  # fmt: skip
    for mirror, relative in known:
        if file_status(mirror.folder, relative):
            try:
                return _tell(mirror.folder, [verb, relative, *rest], token_file)
            except NotFoundError as error:
                refusal = error
    raise refusal


def _check_token(mirrors: Sequence[MirrorStatus], token_file: Path | None, *, hint: str) -> None:
    """Raise UsageError where a token would be shown to hubs that it is not for."""
    hubs = sorted({mirror.remote for mirror in mirrors})
    if token_file is not None and len(hubs) > 1:
        raise UsageError(f"a token is for one hub; there are {', '.join(hubs)}", hint=hint)


def _reply(mirror: MirrorStatus, words: Sequence[str], token_file: Path | None) -> Reply:
    try:
        return _said(mirror, _tell(mirror.folder, words, token_file))
    except SyncdError as error:
        return _said(mirror, error=error)


def _said(mirror: MirrorStatus, said: str = "", error: SyncdError | None = None) -> Reply:
    root = mirror.root or str(mirror.folder)
    return Reply(root=root, dataset=mirror.dataset, said=said, error=error)


def _tell(folder: Path, words: Sequence[str], token_file: Path | None) -> str:
    if holder(folder) is not None:
        return ask(folder, list(words))
    from syncd.daemon.offline import carry_out_offline

    return carry_out_offline(folder, words, token_file)
