"""The program as its user has it: real commands in processes of their own, and what a hub holds.

Nothing here sleeps for a fixed time: `eventually` looks again until a deadline that a busy machine
can keep.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from syncd.model import Item
from syncd.remotes.hub import HubRemote
from syncd.remotes.wire import Wire
from tests import proc

T = TypeVar("T")
DEADLINE = 45.0
COMMAND = (sys.executable, "-m", "syncd")


def eventually(look: Callable[[], T], seconds: float = DEADLINE) -> T:
    """What `look` returns once it is true and raises no AssertionError; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline
        try:
            found = look()
        except AssertionError:
            if late:
                raise
        else:
            if found:
                return found
            assert not late, f"still {found!r} after {seconds} s"
        time.sleep(0.1)


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"status {self.code}, out {self.out[:1000]!r}, err {self.err[:1000]!r}"

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Program:
    """Runs commands in this test's own environment, with `extra` variables on top."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    _started: list[Running] = field(default_factory=list)

    def __call__(
        self,
        *args: str | bytes | Path,
        code: int = 0,
        said: bytes | None = None,
        cwd: Path | None = None,
    ) -> Done:
        """Run to the end; another exit status than `code` fails the test."""
        done = self.ends(*args, said=said, cwd=cwd)
        assert done.code == code, f"{args} ended with {done.code}, not {code}: {done!s}"
        return done

    def ends(
        self, *args: str | bytes | Path, said: bytes | None = None, cwd: Path | None = None
    ) -> Done:
        """Run to the end, whichever that is; a traceback fails the test."""
        run = subprocess.run(
            [*COMMAND, *args], capture_output=True, input=said if said is not None else b"",
            env=self._environment, cwd=cwd, timeout=2 * DEADLINE, check=False,
        )  # fmt: skip
        done = Done(run.returncode, _text(run.stdout), _text(run.stderr))
        assert "Traceback" not in done.err, done.err
        return done

    def start(self, *args: str | Path, command: tuple[str, ...] = COMMAND) -> Running:
        """Begin a command that runs until it is stopped."""
        log = self.folder / f"running-{len(self._started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *args], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=self._environment,
            )  # fmt: skip
        self._started.append(Running(process, log))
        return self._started[-1]

    def watch(self, *args: str | Path) -> Running:
        """Begin to watch; it is ready for files."""
        running = self.start("watch", *args)
        running.until("drop files into")
        return running

    def end(self) -> None:
        with ExitStack() as all_of_them:
            for running in self._started:
                all_of_them.callback(running.end)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.extra}


@dataclass
class Running:
    """A command under way, with all that it said so far."""

    process: subprocess.Popen[bytes]
    log: Path
    over: bool = False
    """A test has taken note of its end."""

    @property
    def said(self) -> str:
        return _text(self.log.read_bytes())

    @property
    def pid(self) -> int:
        return self.process.pid

    def until(self, text: str) -> None:
        """Wait until it said so."""

        def told() -> bool:
            assert text in self.said or self.process.poll() is None, self.said
            return text in self.said

        eventually(told)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """End it as a user would; it must end cleanly. Returns what it said."""
        self.over = True
        if self.process.poll() is None:
            self.thaw()
            self.process.send_signal(number)
        assert self.process.wait(DEADLINE) == 0, self.said
        assert "Traceback" not in self.said, self.said
        return self.said

    def ended(self) -> int:
        """The status it ends with by itself."""
        self.over = True
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        self.over = True
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        eventually(lambda: proc.state(self.pid) == "T")

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        try:
            if not self.over:
                self.stop()
        finally:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True)
class Shelf:
    """A dataset as a hub tells it, beside the program: what tests compare with."""

    url: str
    token: str
    name: str

    @contextmanager
    def open(self) -> Iterator[Any]:
        remote = HubRemote(self.url, self.token)
        try:
            yield remote.open(self.name, create=True, source="another machine")
        finally:
            remote.close()

    def items(self) -> dict[str, Item]:
        """Every present item by its key."""
        with self.open() as dataset:
            found = list(dataset.items())
        items = {item.key: item for item in found}
        assert len(items) == len(found), "a key is listed twice"
        return items

    def digests(self) -> dict[str, str | None]:
        return {key: item.digest for key, item in self.items().items()}

    def trashed(self) -> set[str]:
        with self.open() as dataset:
            return {item.key for item in dataset.trashed()}

    def content(self, key: str) -> bytes:
        with self.open() as dataset:
            return b"".join(dataset.read(dataset.find(key)))

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Which of these contents the hub does not hold."""
        wire = Wire(self.url, self.token)
        try:
            told = wire.json("POST", "/v1/missing", body={"digests": sorted(digests)})
        finally:
            wire.close()
        return list(told["missing"])

    def becomes(self, expected: Mapping[str, bytes]) -> dict[str, Item]:
        """Wait until the dataset holds exactly this: content by key."""
        wanted = {key: digest(content) for key, content in expected.items()}

        def same() -> bool:
            found = self.digests()
            assert found == wanted, _difference(found, wanted)
            return True

        eventually(same)
        return self.items()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def shelf_of(home: Path, name: str) -> Shelf:
    """A dataset of the embedded hub that was started for this home."""
    told = json.loads((home / "state" / "syncd" / "hub.json").read_text())
    return Shelf(told["url"], told["token"], name)


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    missing = sorted(wanted.keys() - found.keys())[:5]
    extra = sorted(found.keys() - wanted.keys())[:5]
    other = [key for key in wanted.keys() & found.keys() if wanted[key] != found[key]][:5]
    return f"missing {missing}, extra {extra}, of other content {other} of {len(wanted)}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
