"""A machine with a user `cam` who owns `/srv/scans`, and syncd installed as its service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.systemd.box import PYTHON, Box, why_not

T = TypeVar("T")
SYNCD = (PYTHON, "-m", "syncd")
SCANS = Path("/srv/scans")
SHOWN = Path("/mnt/scans")
MOUNT = "syncd-mount@mnt-scans.service"
DEADLINE = 40.0


def eventually(look: Callable[[], T], seconds: float = DEADLINE) -> T:
    """What `look` returns once it is true; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.2)
    return found


class Machine(Box):
    """A box with a person's commands for what is tried here."""

    def syncd(self, *words: str | Path, user: str = "", code: int | None = 0) -> str:
        return self.run(*SYNCD, *words, user=user, code=code)

    def install(self, *words: str | Path) -> str:
        return self.syncd("service", "install", *words)

    def drop(self, name: str, content: bytes, folder: Path = SCANS) -> Path:
        """A file of the folder's owner, written as a camera would."""
        path = self.path(folder / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        owner = path.parent.stat()
        path.chmod(0o644)
        self.run("chown", f"{owner.st_uid}:{owner.st_gid}", folder / name)
        return folder / name

    def items(self, dataset: str = "scans") -> dict[str, int]:
        """What the hub holds: names and sizes."""
        said = self.syncd("ls", dataset, "--json", *self.hub, code=None)
        found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return {item["name"]: item["size"] for item in found}

    @property
    def hub(self) -> tuple[str, ...]:
        """The options that reach the installed hub."""
        config = self.path("/etc/syncd/config.toml").read_text()
        url = next(line.split('"')[1] for line in config.splitlines() if line.startswith("url"))
        return ("--remote", url, "--token-file", "/etc/syncd/token")

    def pid(self, unit: str) -> int:
        return int(self.show(unit, "MainPID"))

    def arrives(self, name: str, dataset: str = "scans") -> None:
        try:
            eventually(lambda: name in self.items(dataset))
        except AssertionError as error:
            raise AssertionError(self.journal("syncd*")[-3000:]) from error

    def add(self, unit: str, *lines: str) -> None:
        """One more drop-in of a unit, until the next boot."""
        folder = self.path(f"/run/systemd/system/{unit}.d")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "50-test.conf").write_text("\n".join(["[Service]", *lines, ""]))
        self.run("systemctl", "daemon-reload")


def machine(folder: Path) -> Machine:
    """A machine that is up, with its user and folder."""
    if why := why_not():
        pytest.skip(why)
    made = Machine(folder)
    made.boot()
    made.sh("useradd -m cam && useradd -m guest")
    made.sh(f"mkdir -p {SCANS} && chown cam:cam {SCANS}")
    return made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Machine]:
    """A machine of the test's own, to be rebooted."""
    made = machine(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine whose service watches /srv/scans and shows it at /mnt/scans."""
    made = machine(tmp_path_factory.mktemp("box"))
    try:
        made.install(SCANS, "--mount", f"scans={SHOWN}")
        yield made
    finally:
        made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Units take their time on a busy machine; a hang still ends."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300))
