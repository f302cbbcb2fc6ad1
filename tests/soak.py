"""Kill the daemon at random moments while files come, change, move and go: `make soak`.

    python -m tests.soak --rounds 1000 [--seed N]

One hub, one folder, one dataset, all below a folder of its own. A round starts `syncd watch`, works
on the folder and kills the daemon with SIGKILL; whatever the state file calls stored by then must
be at the hub. Every few rounds the daemon is left alone until the dataset is what the folder is:
every file once, byte-equal, with the annotations of its sidecar and no others. The seed is printed:
with it the same files come, change and go.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import running
from tests.e2e.fault_points import READY, receipts
from tests.e2e.program import Program, Running, Shelf, digest, eventually
from tests.engine.annotated import sidecar
from tests.isolation import environment

CHECK_EVERY = 10
LONGEST_S = 1.5
FEWEST, MOST = 40, 120
DATASET = "soak"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="syncd-soak-") as folder:
        soak(Path(folder), rounds=given.rounds, seed=given.seed)
    return 0


def soak(folder: Path, *, rounds: int, seed: int) -> None:
    """Run the rounds; AssertionError tells what was lost."""
    print(f"{rounds} rounds, seed {seed}", flush=True)
    chance = random.Random(seed)
    with _place(folder) as (program, shelf, root):
        worker = Worker(root, chance)
        for number in range(rounds):
            _round(program, shelf, worker, chance)
            if number % CHECK_EVERY == CHECK_EVERY - 1 or number == rounds - 1:
                _compare(program, shelf, worker)
                print(f"round {number + 1}: {len(worker.files)} files, all there", flush=True)


@contextmanager
def _place(folder: Path) -> Iterator[tuple[Program, Shelf, Path]]:
    home, root = folder / "home", folder / "inbox"
    for made in (home, root):
        made.mkdir(parents=True)
    with ExitStack() as ends:
        hub = running.start(folder / "hub")
        ends.callback(hub.stop)
        extra = environment(home) | {"SYNCD_REMOTE": hub.url, "SYNCD_TOKEN": hub.token}
        program = Program(home, extra)
        ends.callback(program.end)
        yield program, Shelf(hub.url, hub.token, DATASET), root


def _round(program: Program, shelf: Shelf, worker: Worker, chance: random.Random) -> None:
    daemon = _watch(program, worker.root)
    end = time.monotonic() + chance.uniform(0.0, LONGEST_S)
    while time.monotonic() < end and daemon.process.poll() is None:
        worker.act()
        time.sleep(chance.uniform(0.0, 0.02))  # the pace of the work
    assert daemon.process.poll() is None, f"the daemon ended by itself: {daemon.said}"
    daemon.kill()
    _hold_to_receipts(program, shelf)
    for _ in range(chance.randrange(5)):
        worker.act()


def _watch(program: Program, root: Path) -> Running:
    return program.start("watch", root, "--to", DATASET, "--preserve-folders")


def _hold_to_receipts(program: Program, shelf: Shelf) -> None:
    """Whatever was called stored is stored."""
    missing = shelf.missing(receipts(program.folder / "state" / "syncd" / "mirrors"))
    assert not missing, f"called stored, but not there: {missing}"


def _compare(program: Program, shelf: Shelf, worker: Worker) -> None:
    daemon = _watch(program, worker.root)
    try:
        daemon.until(READY)  # killed early in every round so far, it may have no state yet
        _approve(program)
        _holds(shelf, worker.files)
        eventually(lambda: _says(shelf) == worker.notes)
    except AssertionError:
        print(program("status").out, daemon.said)
        raise
    assert worker.disk() == worker.files, "the folder itself was changed"
    said = daemon.stop()
    assert "not in sync" not in said, said


def _holds(shelf: Shelf, files: Mapping[str, bytes]) -> None:
    """Wait until every file is there once, byte-equal, under its own name."""
    wanted = {name: digest(content) for name, content in files.items()}

    def same() -> bool:
        found = shelf.digests()
        assert found == wanted, f"{sorted(found.keys() ^ wanted.keys())} of {len(wanted)}"
        return True

    eventually(same)


def _says(shelf: Shelf) -> dict[str, str]:
    """The label of every file that has one."""
    with shelf.open() as dataset:
        found = list(dataset.annotations(list(dataset.items())))
    return {item.key: sets[0].annotations[0].label for item, sets in found if sets}


def _approve(program: Program) -> None:
    """A daemon that is killed again and again has many removals before it: a person agrees."""

    def looked() -> bool:
        (mirror,) = program("status", "--json").json["mirrors"]
        if mirror["state"] == "held":
            program("approve", mirror["plan"])
        return bool(mirror["state"] == "watching" and not mirror["pending"])

    eventually(looked)


class Worker:
    """Somebody who works on a folder, and remembers what should be in it."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root = root
        self.files: dict[str, bytes] = {}
        self.notes: dict[str, str] = {}
        """What the sidecars say."""
        self._chance = chance
        self._number = 0
        for _ in range(FEWEST):
            self._create()

    def act(self) -> None:
        """Do one thing."""
        chance = self._chance
        if len(self.files) <= FEWEST:
            self._create()
        elif len(self.files) >= MOST:
            self._delete()
        else:
            acts = (self._create, self._create, self._change, self._replace, self._rename,
                    self._rename, self._delete, self._move_folder, self._note, self._note,
                    self._unnote)  # fmt: skip
            chance.choice(acts)()

    def disk(self) -> dict[str, bytes]:
        """What is there, by path."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*.jpg")
        }

    def _create(self) -> None:
        self._write(self._fresh(), self._content())

    def _change(self) -> None:
        self._write(self._any(), self._content())

    def _replace(self) -> None:
        name, content = self._any(), self._content()
        draft = self.root / f".{self._number}.tmp"
        draft.write_bytes(content)
        draft.replace(self.root / name)
        self.files[name] = content

    def _rename(self) -> None:
        old, new = self._any(), self._fresh()
        (self.root / new).parent.mkdir(parents=True, exist_ok=True)
        (self.root / old).rename(self.root / new)
        self.files[new] = self.files.pop(old)
        if old in self.notes:
            (self.root / f"{old}.json").rename(self.root / f"{new}.json")
            self.notes[new] = self.notes.pop(old)

    def _delete(self) -> None:
        name = self._any()
        if self.notes.pop(name, None):
            (self.root / f"{name}.json").unlink()
        (self.root / name).unlink()
        del self.files[name]

    def _note(self) -> None:
        name = self._any()
        self._number += 1
        self.notes[name] = f"label {self._number}"
        (self.root / f"{name}.json").write_bytes(sidecar(self.notes[name]))

    def _unnote(self) -> None:
        if self.notes:
            name = self._chance.choice(sorted(self.notes))
            (self.root / f"{name}.json").unlink()
            del self.notes[name]

    def _move_folder(self) -> None:
        folders = sorted({name.partition("/")[0] for name in self.files if "/" in name})
        if folders:
            old, new = self._chance.choice(folders), f"f{self._number}"
            self._number += 1
            (self.root / old).rename(self.root / new)
            for name in [name for name in self.files if name.startswith(f"{old}/")]:
                self.files[new + name[len(old) :]] = self.files.pop(name)
                if name in self.notes:
                    self.notes[new + name[len(old) :]] = self.notes.pop(name)

    def _write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            half = len(content) // 2
            file.write(content[:half])
            file.flush()
            file.write(content[half:])
        self.files[name] = content

    def _fresh(self) -> str:
        self._number += 1
        folder = self._chance.choice(["", "a/", "b/", "b/deep/er/"])
        return f"{folder}{self._number:06}.jpg"

    def _any(self) -> str:
        return self._chance.choice(sorted(self.files))

    def _content(self) -> bytes:
        # Some are alike, and some are too large for a batch of small ones.
        if self._chance.random() < 0.1:
            return b"the same as others"
        size = self._chance.choice([10, 3000, 3000, 70_000, 300_000])
        return self._chance.randbytes(size)


if __name__ == "__main__":
    sys.exit(main())
