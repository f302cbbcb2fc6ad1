"""A mirror in a world we own: a real folder, a clock, workers that take their time, a remote in
memory with faults and with people at work in it.

A history is a list of (act, number, number), so that Hypothesis can shrink it and a seed can make
it. `settle` lets the mirror come to rest, and `check` holds what must then be true.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from syncd.engine.mirror import Command, Doubt, Mirror
from syncd.engine.opening import Target, assemble
from syncd.engine.options import Options
from syncd.engine.pool import Task, Told
from syncd.engine.session import bind, source_of
from syncd.errors import DeniedError, SyncdError
from syncd.local.listing import Glance
from syncd.local.scan import list_folder
from syncd.model import Item, ItemState
from syncd.remotes.base import Feeds, Traits
from syncd.remotes.memory import Fault, MemoryRemote, PlainDataset, Request
from syncd.remotes.shelf import Shelf
from syncd.state.row import Row
from syncd.state.store import State
from tests.engine.digests import digest
from tests.engine.disk import Disk

SECOND = 1_000_000_000
BEGAN = 1_700_000_000 * SECOND
DATASET = "pets"
Act = tuple[str, int, int]


class FakeClock:
    def __init__(self) -> None:
        self.ns = BEGAN
        self.seconds = 0.0

    def now_ns(self) -> int:
        return self.ns

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND)
        self.seconds += seconds


class Crash(BaseException):
    """The process ends here: nothing that was not committed is kept."""


class LatePool:
    """Jobs are begun, and their results delivered, when the world says so."""

    def __init__(self, work: Callable[[Task], Told], deliver: Callable[[Told], None]) -> None:
        self._work = work
        self._deliver = deliver
        self.given: list[Task] = []
        self.done: list[Told] = []
        self.crash_at = -1
        """So many jobs are still taken before the process ends in the middle of a turn."""

    def give(self, job: Task) -> None:
        if self.crash_at == 0:
            raise Crash
        self.crash_at -= 1
        self.given.append(job)

    def run(self, number: int) -> None:
        if self.given:
            self.done.append(self._work(self.given.pop(number % len(self.given))))

    def deliver(self, number: int) -> None:
        if self.done:
            self._deliver(self.done.pop(number % len(self.done)))

    def close(self) -> None:
        """As the real one: what was begun is told, the rest is dropped."""
        while self.done:
            self.deliver(0)

    @property
    def waiting(self) -> int:
        return len(self.given) + len(self.done)


class World:
    """One mirror, its folder and its remote."""

    def __init__(
        self,
        folder: Path,
        options: Options | None = None,
        *,
        kind: type[PlainDataset] | None = None,
        traits: Traits | None = None,
        removes: bool = True,
        scouted: bool = False,
    ) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir(parents=True)
        self.options = options or Options()
        self.removes = removes
        self.scouted = scouted
        self.clock = FakeClock()
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.remote = MemoryRemote(kind=kind, traits=traits, trouble=self._fault)
        self.shelf = Watched(self)
        self.remote.shelves[DATASET] = self.shelf
        self.people: set[str] = set()
        """Digests of what people stored: never to be replaced or removed by a mirror."""
        self.ever: set[str] = set()
        """Digests of whatever was on the disk at some time."""
        self.lost_state = False
        self.meddled = False
        self.approving = False
        """A person says yes to whatever the mirror asks about a restored remote."""
        self.unheard = False
        """Something may have been stored without the mirror ever being told."""
        self.disk = Disk(self)
        self.mirror: Mirror
        self.pool: LatePool
        self.start()

    # --- the mirror's life ------------------------------------------------------------------------

    def start(self, names: tuple[str, ...] = ()) -> None:
        """Open the state file and bind; again and again where the remote does not let us."""
        (self.folder / "state").mkdir(exist_ok=True)
        while True:
            state = State(self.folder / "state")
            try:
                self._start(state, names)
                return
            except SyncdError:
                state._sql.close()
                self.clock.advance(1)

    def _start(self, state: State, names: tuple[str, ...]) -> None:
        dataset = self.remote.open(DATASET, create=True, source=source_of(state))
        self.mirror = assemble(
            self.target, state, dataset, self.clock, pool=self._make_pool, removes=self.removes
        )
        if self.scouted:
            self.mirror.observer.ahead = self._glance
        bind(self.mirror, names)

    def _glance(self, dir: str) -> Glance | None:
        """As a scout would tell it that has just been there."""
        found = list_folder(str(self.root), dir, self.mirror.subject.chosen)
        return found.glance() if found else None

    @property
    def target(self) -> Target:
        return Target(root=self.root, remote="memory", dataset=DATASET, options=self.options)

    def _make_pool(self, work: Callable[[Task], Told], deliver: Callable[[Told], None]) -> LatePool:
        self.pool = LatePool(work, deliver)
        return self.pool

    def crash(self) -> None:
        """The process is gone; what workers had begun may still have arrived."""
        self.unheard = True
        self.mirror.state._sql.close()

    def stop(self) -> None:
        self.mirror.close()

    def restart(self, options: Options | None = None, names: tuple[str, ...] = ()) -> None:
        self.stop()
        self.options = options or self.options
        self.start(names)

    def forget_state(self) -> None:
        for file in (self.folder / "state").iterdir():
            file.unlink()
        self.lost_state = True

    def forget_remote(self) -> None:
        """The dataset is deleted; whoever asks for one of its name gets a new one."""
        self.shelf = self.remote.shelves[DATASET] = Watched(self)

    def sweep(self) -> None:
        self.mirror.post(Doubt(reason="asked"))

    def hear(self) -> None:
        """The feed's thread asks, and posts what it is told."""
        dataset = self.mirror.dataset
        if isinstance(dataset, Feeds):
            try:
                self.mirror.post(dataset.changes(self.mirror.state.meta.get("cursor", 0)))
            except DeniedError as error:
                self.mirror.post(error)
            except SyncdError:
                pass

    def turn(self) -> None:
        self.clock.advance(0.000_001)
        try:
            self.mirror.turn(0.0)
        except Crash:
            self.crash()
            self.start()
            self.sweep()
        if self.mirror.settlement.denied:
            self.restart()
            self.sweep()

    def _fault(self, request: Request) -> Fault | None:
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        self.unheard |= fault in (Fault.LOST, Fault.GARBLED)
        return fault

    def tell(self, run: Callable[[Mirror], object]) -> object:
        """Give an order to the mirror and take its answer."""
        answers: list[object] = []
        self.mirror.post(Command(run=run, answer=answers.append))
        self.turn()
        return answers[0]

    # --- coming to rest ---------------------------------------------------------------------------

    def settle(self, *, patience: float = 4000.0) -> None:
        """Run until nothing is under way and nothing will be within `patience` seconds."""
        idle = 0
        for _ in range(3000):
            self.turn()
            if self.pool.waiting:
                self._watch_spin()
                self.pool.run(0)
                self.pool.deliver(0)
                continue
            wait = self.mirror.wait_for(patience)
            if self.mirror.guard.closed and wait >= patience:
                return
            if wait >= patience and self.mirror.quiet:
                return
            idle = idle + 1 if wait == 0 else 0
            assert idle < 60, "it spins"
            self.clock.advance(wait)
        raise AssertionError("it does not come to rest")

    def _watch_spin(self) -> None:
        """With jobs under way and nothing new, the control thread must be able to sleep."""
        for _ in range(40):
            self.turn()
            if self.mirror.wait_for(1.0) > 0 or not self.pool.waiting:
                return
        raise AssertionError("it spins while a job is under way")

    def finish(self) -> None:
        """No more faults; look at everything once more, and come to rest."""
        self.faults.clear()
        for _ in range(2):
            self.hear()
            self.turn()
            self.approve_restore()
            self.sweep()
            self.settle()
            self.mirror.comparison.want()
            self.settle()

    def approve_restore(self) -> None:
        gate = self.mirror.state.meta.get("gate")
        if gate and gate["kind"] == "generation" and self.approving:
            self.mirror.guard.approve(gate["plan"])

    # --- what is true now -------------------------------------------------------------------------

    def files(self) -> dict[str, bytes]:
        found = {}
        for dir, dirs, names in os.walk(self.root):
            dirs[:] = [name for name in dirs if not name.startswith(".")]
            for name in names:
                path = Path(dir, name)
                if name.endswith(".jpg") and not name.startswith("."):
                    found[path.relative_to(self.root).as_posix()] = path.read_bytes()
        return found

    def troubles(self) -> dict[str, str]:
        return {t.path: f"{t.kind}: {t.reason}" for t in self.mirror.state.troubles.all()}

    def stored(self) -> dict[str, bytes]:
        """The dataset: key to content."""
        return {item.key: self.shelf.content(item.key) for item in self.shelf.present()}

    def id_of(self, path: str) -> str:
        row = self.mirror.state.files.row(path)
        assert row is not None, path
        assert row.receipt is not None, (path, self.troubles())
        return row.receipt.id

    def end(self) -> tuple[object, ...]:
        """The end state, in words that do not depend on inodes or random ids."""
        return (
            tuple(sorted(self.stored().items())),
            tuple(sorted(self.troubles().items())),
            tuple(sorted(self.files().items())),
        )

    def check(self) -> None:
        """Whatever happened: every file is stored under a key of its own, or listed."""
        troubles = self.troubles()
        owners: dict[str, str] = {}
        for path, content in self.files().items():
            row = self.mirror.state.files.row(path)
            assert row is not None, f"{path} is not known"
            assert not row.gone, f"{path} is held to be gone"
            if row.receipt:
                self._check_receipt(path, row.receipt.id, row.receipt.version, row.receipt.digest)
                assert row.receipt.id not in owners, (path, owners[row.receipt.id])
                owners[row.receipt.id] = path
            if path in troubles:
                self._check_trouble(row, troubles[path], digest(content))
                continue
            assert row.due is None, (path, row.due)
            assert row.receipt, f"{path} is neither stored nor listed"
            item = self.shelf.find(row.receipt.key)
            assert item is not None, f"{path} is not at {row.receipt.key}"
            assert item.id == row.receipt.id, (path, item)
            assert item.digest == digest(content), f"{path} is stored with other content"
            assert row.digest == item.digest
        if not self.meddled and not self.lost_state:
            assert not troubles, troubles
            self._check_nothing_else(set(owners))

    def _check_trouble(self, row: Row, trouble: str, content: str) -> None:
        """A person is asked only where a person did something."""
        entry = self.shelf.entries.get(row.receipt.id) if row.receipt else None
        gone = [
            e.item for e in self.shelf.entries.values() if e.item.state is not ItemState.PRESENT
        ]
        people = [item for item in gone if not item.by.startswith("mirror:")]
        if trouble.startswith("held"):
            ours = entry and entry.item in people
            assert ours or any(item.digest == content for item in people), (row.path, trouble)
            return
        assert trouble.startswith("conflict"), trouble
        key = next(t.key for t in self.mirror.state.troubles.all() if t.path == row.path)
        there = self.shelf.find(key or "")
        if entry and row.receipt and (there is None or there.id == entry.item.id):
            assert entry.item.digest != row.receipt.digest or entry.item in people, trouble
        else:
            assert there, (row.path, trouble, key)
            assert there.digest != content

    def _check_receipt(self, path: str, id: str, version: int | None, digest: str) -> None:
        entry = self.shelf.entries.get(id)
        if entry and not self.meddled:
            assert entry.item.digest == digest, f"the receipt of {path} claims what is not held"
            assert entry.item.version == version, path

    def _check_nothing_else(self, owned: set[str]) -> None:
        others = [item for item in self.shelf.present() if item.id not in owned]
        if not self.unheard and not self.mirror.state.meta.get("held") and self.removes:
            assert not others, [item.key for item in others]


class Watched(Shelf):
    """A shelf that sees who does what to whose content."""

    def __init__(self, world: World) -> None:
        super().__init__(DATASET)
        self._world = world

    def set(self, item: Item, content: bytes | None = None) -> Item:
        before = self.entries.get(item.id)
        if item.by.startswith("mirror:") and before and before.item.digest != item.digest:
            self._may_lose(before.item)
        if item.by.startswith("mirror:") and before and item.state is not ItemState.PRESENT:
            self._may_lose(before.item)
        if content is not None and item.by.startswith("mirror:"):
            assert item.digest in self._world.ever, "what was stored was never on the disk"
        return super().set(item, content)

    def _may_lose(self, item: Item) -> None:
        lost = item.digest in self._world.people and item.digest not in self._world.ever
        assert not lost, f"what a person stored under {item.key} is overwritten"
