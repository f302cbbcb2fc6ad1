"""syncd from Python: `connect`, then datasets that take folders and give them back.

    from syncd import connect
    signs = connect().dataset("road-signs")
    report = signs.push(["./photos"])

Errors are those of `syncd.errors`; what concerns single files is in the report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from syncd.annotation.model import AnnotationSet, Size
from syncd.config.checked import checked_name
from syncd.config.load import load
from syncd.config.places import Places, places
from syncd.daemon.choices import options_of
from syncd.daemon.embedded import Address, ensure
from syncd.daemon.remote import EMBEDDED, resolve
from syncd.engine.errand import Errand, group, merge
from syncd.engine.mirror import Mirror
from syncd.engine.opening import opened
from syncd.engine.options import Options
from syncd.engine.pull import get, pull
from syncd.engine.rehearsal import Rehearsal, rehearse, rehearsed
from syncd.engine.report import Report, Tally
from syncd.engine.session import bind, push
from syncd.errors import FormatError
from syncd.model import Item, Layout, Verb
from syncd.remotes.hub import HubDataset, HubRemote

if TYPE_CHECKING:
    from syncd.engine.annotate import AnnotationReport
    from syncd.local.scan import Ahead

Progress = Callable[[int, int, str], None]
"""Called with (files done, files known so far, path) after each file."""
MAX_DOCUMENT = 1024**3
ASKED = 1_000
"""Items whose annotations are asked for at a time."""
Watcher = Callable[[Tally], None]


def connect(url: str | None = None, *, token: str | None = None) -> Client:
    """Connect to a hub by its address or its name in the configuration; without either to the one
    that `SYNCD_REMOTE` or the configuration names, else to the embedded one, which is started if
    need be.

    A token that is not given comes from `SYNCD_TOKEN`, `SYNCD_TOKEN_FILE` or the configuration.
    Raises ConfigError for a name that is no remote's or a token that cannot be read, and
    TransientError where the embedded hub does not start.
    """
    return Client(url, token=token)


class Client:
    """A connection to one remote; close it, or use it in a `with` block."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        where: Places | None = None,
        own: Callable[[Places], Address] = ensure,
    ) -> None:
        """Find the remote by address, by its name in the configuration, or start our `own`."""
        self.places = where or places()
        found = resolve(url, token=token, token_file=token_file, where=self.places)
        self.name = found.name
        if found.url is None:
            address = own(self.places)
            self.remote = HubRemote(address.url, address.token, trust=address.trust)
        else:
            self.remote = HubRemote(found.url, found.token, trust=found.trust)

    @property
    def address(self) -> str:
        """What tells this remote from others; the embedded hub's does not change with its port."""
        return self.name if self.name == EMBEDDED else self.remote.url

    def revive(self) -> None:
        """Start the embedded hub again where it is gone; other remotes are not ours to start."""
        if self.name == EMBEDDED:
            address = ensure(self.places)
            if address.url != self.remote.url or address.trust:
                self.remote.relocate(address.url, address.token, trust=address.trust)

    def datasets(self) -> list[str]:
        """The names of all datasets."""
        return [info.name for info in self.remote.datasets()]

    def dataset(self, name: str, *, create: bool = True) -> RemoteDataset:
        """A dataset by name; raises NotFoundError where it is missing and `create` is false."""
        self.remote.open(checked_name(name), create=create)
        return RemoteDataset(self, name)

    def plan(self, name: str, paths: Iterable[Path], options: Options) -> Rehearsal:
        """What a push would do, without doing it or leaving a trace; where it would be several,
        paths are given in full."""
        ahead: dict[str, Path] = {}
        errands = group(list(paths), checked_name(name), self.name, options)
        found = []
        for errand in errands:
            one = self._rehearsed(errand, ahead)
            root = errand.target.root
            moved = (Verb.PUT, Verb.MOVE)
            ahead |= {a.key: root / a.path for a in one.actions if a.verb in moved}
            found.append(one.below(root) if len(errands) > 1 else one)
        return Rehearsal(
            actions=tuple(action for one in found for action in one.actions),
            sidecars=tuple(sidecar for one in found for sidecar in one.sidecars),
            report=merge(name, errands, [one.report for one in found]),
        )

    def _rehearsed(self, errand: Errand, ahead: Mapping[str, Path]) -> Rehearsal:
        if errand.empty:
            return Rehearsal(actions=(), sidecars=(), report=Report(dataset=errand.target.dataset))
        with rehearsed(errand.target, self.remote, self.places.mirrors, ahead) as mirror:
            return rehearse(mirror, errand.names)

    def close(self) -> None:
        self.remote.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class RemoteDataset:
    """A dataset at the remote of a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client

    def push(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        preserve_folders: bool = False,
        path: str | None = None,
        progress: Progress | None = None,
        options: Options | None = None,
        watcher: Watcher | None = None,
        ahead: Ahead | None = None,
    ) -> Report:
        """Send folders and files, whatever is new or changed; nothing is removed.

        First-level subfolders become folders of the dataset, or what `[mirror]` of the
        configuration says; `preserve_folders` keeps the whole structure, `path` puts it all below
        a folder of the dataset; both go on top of `options`, where these are given instead of the
        configuration's. `progress` hears every file, `watcher` the whole tally; `ahead` knows of a
        single folder what was seen in it since the call was made. Raises
        SyncdError for what stops everything; what concerns single files is in the report.
        """
        chosen = options or options_of(load(self._client.places).mirror)
        if preserve_folders:
            chosen = replace(chosen, layout=Layout.TREE)
        if path:
            chosen = replace(chosen, prefix=path)
        given = [paths] if isinstance(paths, str | Path) else paths
        errands = group([Path(one) for one in given], self.name, self._client.name, chosen)
        reports = [self._run(errand, progress, watcher, ahead) for errand in errands]
        return merge(self.name, errands, reports)

    def items(self, folder: str = "") -> Iterator[Item]:
        """Every item at or below a folder, ordered by folder and name."""
        return self._open().items(folder.strip("/"))

    def pull(self, dir: str | Path, *, watcher: Watcher | None = None) -> Report:
        """Bring the whole dataset into a folder, verified; what is there already is kept."""
        return pull(self._open(), Path(dir), watcher)

    def get(self, key: str, output: Path | None = None) -> Path:
        """Bring one item to `output` (its own name by default; `-` is standard output).

        Raises NotFoundError; ConflictError where something else has the name."""
        return get(self._open(), key.strip("/"), output)

    def annotate(
        self,
        document: str | Path | Mapping[str, Any],
        *,
        operation: str,
        model: bool,
        normalized: bool = False,
        folder: str = "",
    ) -> AnnotationReport:
        """Store the annotations of a document, a JSON file or a dict: `{"images": [...]}`.

        `operation` names the annotation project or model run: the same one replaces what it said
        about an image, another adds; `model` is whether a program made them. With `normalized`,
        coordinates are parts of the picture's width and height; `folder` is where the images lie.
        Entries that cannot be stored are in the report. Raises FormatError where it is no such
        document.
        """
        from syncd.engine.annotate import Source, annotate

        source = Source(operation=operation, model=model, normalized=normalized, folder=folder)
        try:
            return annotate(self._open(), _content(document), source)
        except FormatError as error:
            error.path = None if isinstance(document, Mapping) else str(document)
            raise

    def annotations(self, folder: str = "") -> Iterator[tuple[Item, tuple[AnnotationSet, ...]]]:
        """Every annotated item at or below a folder, with its sets ordered by operation."""
        dataset = self._open()
        annotated = (item for item in dataset.items(folder.strip("/")) if item.annotated)
        while some := list(islice(annotated, ASKED)):
            yield from ((item, sets) for item, sets in dataset.annotations(some) if sets)

    def sizes(self, folder: str = "") -> Iterator[tuple[Item, Size | None]]:
        """Every item at or below a folder with its picture's size as stored and the orientation
        it records, None where they cannot be told."""
        dataset = self._open()
        items = dataset.items(folder.strip("/"))
        while some := list(islice(items, ASKED)):
            yield from dataset.sizes(some)

    def _open(self) -> HubDataset:
        return self._client.remote.open(self.name, create=False)

    def _run(
        self,
        errand: Errand,
        progress: Progress | None,
        watcher: Watcher | None,
        ahead: Ahead | None,
    ) -> Report:
        if errand.empty:
            return Report(dataset=self.name)
        client = self._client
        with opened(errand.target, client.remote, client.places.mirrors, removes=False) as mirror:
            mirror.state.meta.put(remote=client.name)
            if progress:
                mirror.tally.watchers.append(_told(progress, mirror))
            if watcher:
                watcher(mirror.tally)
                mirror.tally.watchers.append(lambda tally, path: watcher(tally))
            mirror.observer.ahead = ahead or mirror.observer.ahead
            bind(mirror, errand.names)
            return push(mirror, errand.names, revive=client.revive)


def _content(document: str | Path | Mapping[str, Any]) -> bytes:
    if isinstance(document, Mapping):
        try:
            return json.dumps(document).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"holds what JSON cannot say: {error}") from error
    path = Path(document)
    if path.stat().st_size > MAX_DOCUMENT:
        raise FormatError("is larger than 1 GiB: divide it")
    return path.read_bytes()


def _told(progress: Progress, mirror: Mirror) -> Callable[[Tally, str], None]:
    def tell(tally: Tally, path: str) -> None:
        progress(tally.done, mirror.observer.files, path)

    return tell
