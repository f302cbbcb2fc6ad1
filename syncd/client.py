"""syncd from Python: `connect`, then datasets that take folders and give them back.

    from syncd import connect
    signs = connect().dataset("road-signs")
    report = signs.push(["./photos"])

Errors are those of `syncd.errors`; what concerns single files is in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from syncd.config.places import Ambient, Places, ambient, places
from syncd.daemon.embedded import ensure
from syncd.engine.errand import Errand, group, merge
from syncd.engine.mirror import Mirror
from syncd.engine.opening import opened
from syncd.engine.options import Options
from syncd.engine.pull import pull
from syncd.engine.report import Report, Tally
from syncd.engine.session import bind, push
from syncd.errors import ConfigError
from syncd.model import Item, Layout
from syncd.remotes.base import Dataset
from syncd.remotes.hub import HubRemote

Progress = Callable[[int, int, str], None]
"""Called with (files done, files known so far, path) after each file."""

EMBEDDED = "hub"


def connect(url: str | None = None, *, token: str | None = None) -> Client:
    """Connect to a hub; without an address to the embedded one, which is started if need be.

    The token is looked for in `SYNCD_TOKEN` and `SYNCD_TOKEN_FILE` where it is not given.
    """
    return Client(url, token=token)


class Client:
    """A connection to one remote; close it, or use it in a `with` block."""

    def __init__(
        self, url: str | None = None, *, token: str | None = None, where: Places | None = None
    ) -> None:
        around = ambient()
        self.places = where or places()
        named = url or around.remote
        self.name = named if named and named != EMBEDDED else EMBEDDED
        if self.name == EMBEDDED:
            address = ensure(self.places)
            self.remote = HubRemote(address.url, address.token)
        else:
            self.remote = HubRemote(self.name, token or _token(around))

    def datasets(self) -> list[str]:
        """The names of all datasets."""
        return [info.name for info in self.remote.datasets()]

    def dataset(self, name: str, create: bool = True) -> RemoteDataset:
        """A dataset by name; raises NotFoundError where it is missing and `create` is false."""
        self.remote.open(name, create=create)
        return RemoteDataset(self, name)

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
        paths: Iterable[str | Path],
        preserve_folders: bool = False,
        path: str | None = None,
        progress: Progress | None = None,
        *,
        options: Options | None = None,
    ) -> Report:
        """Send folders and files, whatever is new or changed; nothing is removed.

        First-level subfolders become folders of the dataset; `preserve_folders` keeps the whole
        structure, `path` puts it all below a folder of the dataset.
        """
        chosen = options or Options()
        if preserve_folders:
            chosen = replace(chosen, layout=Layout.TREE)
        if path:
            chosen = replace(chosen, prefix=path)
        errands = group([Path(item) for item in paths], self.name, self._client.name, chosen)
        return merge(self.name, [self._run(errand, progress) for errand in errands])

    def items(self) -> Iterator[Item]:
        """Every item, ordered by folder and name."""
        return self._open().items()

    def pull(self, dir: str | Path) -> Report:
        """Bring the whole dataset into a folder, verified; what is there already is kept."""
        return pull(self._open(), Path(dir))

    def _open(self) -> Dataset:
        return self._client.remote.open(self.name, create=False)

    def _run(self, errand: Errand, progress: Progress | None) -> Report:
        client = self._client
        with opened(errand.target, client.remote, client.places.mirrors, removes=False) as mirror:
            if progress:
                mirror.tally.watchers.append(_told(progress, mirror))
            bind(mirror)
            return push(mirror, errand.names)


def _told(progress: Progress, mirror: Mirror) -> Callable[[Tally, str], None]:
    def tell(tally: Tally, path: str) -> None:
        progress(tally.done, mirror.observer.files, path)

    return tell


def _token(around: Ambient) -> str:
    if around.token:
        return around.token
    if around.token_file:
        try:
            return around.token_file.read_text().strip()
        except OSError as error:
            raise ConfigError(
                f"the token cannot be read: {error.strerror}", path=str(around.token_file)
            ) from error
    return ""
