"""Keeps a tree like its dataset: filled once, then by the change feed, or by listing again.

One thread per dataset. Whatever it hears it says item by item, as steps; an item heard twice
changes nothing, so the cursor may lag behind what was carried out. A listing that breaks off
removes nothing: what a remote does not say is not gone.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from syncd.errors import DeniedError, MissingError, NotFoundError, SyncdError
from syncd.model import Item, ItemState
from syncd.mount.filling import SOME, Filling, Sidecars
from syncd.mount.marks import Marks
from syncd.mount.showing import Showing
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.base import Annotates, Changes, Dataset, Feeds

log = logging.getLogger(__name__)

WAIT_S = 50.0
"""How long the remote may sit on a question before it says that nothing changed."""
PAUSES = (0.2, 1.0, 2.0, 5.0)
AGAIN_S = 1.0
"""How often it is tried again to show what somebody stands in the way of."""
SIZES_S = 30.0
"""So long a first filling waits for the sizes of pictures; the others are told later."""
SIZED = 100
"""For so many at a time, between what is heard: 0.1 s where the remote has to measure them."""
END = 1 << 62
"""A cursor beyond all changes: its answer holds none, and the cursor of the last."""


class Follower:
    """Fills a tree from a dataset and follows it until stopped."""

    def __init__(
        self,
        tree: Tree,
        dataset: Dataset,
        turner: Turner,
        sidecars: Sidecars,
        *,
        staleness_s: float = 60.0,
        revive: Callable[[], None] = lambda: None,
    ) -> None:
        """`revive` is called where the remote does not answer: it may be one we can start."""
        self._tree = tree
        self._index = tree.index
        self._dataset = dataset
        self._turner = turner
        self._showing = Showing(tree, turner)
        self._sidecars = sidecars
        self._staleness = staleness_s
        self._revive = revive
        self.gone = False
        """Whether the remote said last that there is no such dataset."""
        self._retired = threading.Event()
        self._stop = threading.Event()
        self._asking = False
        """Whether the remote is being asked. Where the end comes meanwhile it stays so: then the
        thread leaves the tree alone, and whoever waits for it may close that."""
        self._turn = threading.Lock()
        """Held to say that the end has come, and that the answer has: one of them is first."""
        self._fresh = False
        self._unsized: Iterator[Item] | None = None
        self._heard: dict[str, str] = {}
        """Words that are put down once nothing waits: a restart hears again what did."""
        self._thread = threading.Thread(target=self._run, name="syncd-mount-feed", daemon=True)
        self._attach: Callable[[], None] = lambda: None

    def fill(self) -> None:
        """Make the index whole, if it is not; raises RemoteError."""
        if self._index.filled:
            return
        cursor, generation = self._end()
        self._index.begin()
        self._sidecars.patience_s = SIZES_S
        with self._index.together():
            Filling(self._index.number, self._index.insert, self._sidecars).take(
                self._dataset.items()
            )
        self._index.put_word("cursor", str(cursor))
        self._index.put_word("generation", generation)
        self._index.put_word("sizes", "" if self._sidecars.patience_s > 0 else "later")
        self._sidecars.patience_s = math.inf
        self._index.end()
        self._fresh = True

    def start(self, attach: Callable[[], None]) -> None:
        """Follow from now on; `attach` is called first, in the thread that follows."""
        self._attach = attach
        self._thread.start()

    def stop(self) -> None:
        """Stop following; a question under way is left to itself."""
        with self._turn:
            self._stop.set()
        self._turner.detach()

    def retire(self) -> None:
        """Show nothing any more, once what is asked is answered: another dataset has the name."""
        self._retired.set()
        while self._thread.is_alive() and not self._stop.is_set():
            self._thread.join(0.1)

    def join(self, timeout: float) -> bool:
        """Wait, after `stop`, until the thread needs the tree no more; whether that came true."""
        until = time.monotonic() + timeout
        while self._thread.is_alive() and not self._asking and time.monotonic() < until:
            self._thread.join(0.01)
        return self._asking or not self._thread.is_alive()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        in_touch = False  # the first answer may be that of a remote that was restored meanwhile
        attached = False
        while not self._stop.is_set():
            try:
                if not attached:
                    self._attach()
                    attached = True
                    self._showing.report()
                if self._retired.is_set():
                    self._clear()
                    return
                self.hear(WAIT_S if in_touch and not self._word("sizes") else 0.0)
                if self._stop.is_set():
                    return
                in_touch, failures, self.gone = True, 0, False
                self._tell_sizes()
            except Exception as error:
                if self._stop.is_set():
                    return  # The connection was closed under a question nobody waits for.
                in_touch = False
                self.gone = isinstance(error, MissingError | NotFoundError)
                self._complain(error, failures)
                self._stop.wait(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
                self._wake()

    def _complain(self, error: Exception, failures: int) -> None:
        if not isinstance(error, SyncdError):
            log.exception("following broke dataset=%s", self._dataset.info.name)
        elif failures == 0 or isinstance(error, DeniedError):
            name = self._dataset.info.name
            log.warning("what is shown may be old dataset=%s reason=%s", name, error)

    def _wake(self) -> None:
        try:
            if not self._stop.is_set():
                self._revive()
        except Exception as error:
            log.warning("remote not revived reason=%s", error)

    def hear(self, wait: float) -> None:
        """Wait for what changed, and make it so; raises RemoteError."""
        dataset = self._dataset
        if not isinstance(dataset, Feeds):
            at_once = not wait and not self._fresh  # what the last run left may be old
            self._fresh = False
            self._rest(0.0 if at_once else self._staleness)
            if not self._stop.is_set():
                self.compare()
            return
        self._catch_up()
        changes = self._ask(dataset, min(wait, AGAIN_S) if self._showing.behind else wait)
        if changes is None:
            return
        if changes.generation != self._word("generation"):
            # Another hub's history: its cursors are not ours.
            self.compare()
            return
        self.take(changes.items)
        self._put_words(cursor=str(changes.cursor))

    def _ask(self, dataset: Feeds, wait: float) -> Changes | None:
        """What changed; None where the end came meanwhile."""
        cursor = int(self._word("cursor") or 0)
        self._asking = True
        try:
            changes = dataset.changes(cursor, wait=wait, mine=True)
        finally:
            with self._turn:
                self._asking = self._stop.is_set()
        return None if self._asking else changes

    def _tell_sizes(self) -> None:
        """Have some more sidecars tell the sizes that the first filling did not wait for. The items
        are taken as they are now, so that nothing that was heard is undone."""
        dataset = self._dataset
        if not self._word("sizes") or not isinstance(dataset, Annotates):
            return
        self._unsized = self._unsized or (item for item in dataset.items() if item.annotated)
        try:
            some = list(islice(self._unsized, SIZED))
            self.take([now for now, _ in dataset.sizes(some)])
        except SyncdError:
            self._unsized = None  # begun anew: the remote knows by then what it measured
            raise
        if not some:
            self._put_words(sizes="")

    def _rest(self, seconds: float) -> None:
        """Wait so long, or for the end, and try meanwhile what waits."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.wait(min(left, AGAIN_S) if self._showing.behind else left):
                return
            self._catch_up()

    def _catch_up(self) -> None:
        """Show what waited, and put down the words that waited for it."""
        if self._showing.behind:
            self._showing.catch_up()
            self._put_words()

    def _end(self) -> tuple[int, str]:
        """Where the feed ends now, and of which generation that is said."""
        if not isinstance(self._dataset, Feeds):
            return 0, ""
        found = self._dataset.changes(END, mine=True)
        return found.cursor, found.generation

    def _put_words(self, **words: str) -> None:
        if self._stop.is_set():
            return  # what was said before may not have been carried out to its end
        self._heard |= words
        if self._showing.behind:
            return
        with self._tree.lock:
            for name, value in self._heard.items():
                if self._index.word(name) != value:
                    self._index.put_word(name, value)

    def _word(self, name: str) -> str | None:
        with self._tree.lock:
            return self._heard[name] if name in self._heard else self._index.word(name)

    # --- what changed ---------------------------------------------------------------------------

    def compare(self) -> None:
        """List everything, and make the tree so; raises RemoteError before anything is removed."""
        self._showing.drop()  # all of it is said anew, by a remote that may have been restored
        cursor, generation = self._end()
        heard = Marks()
        items = self._dataset.items()
        while some := list(islice(items, SOME)):
            self.take(some)
            with self._tree.lock:
                for item in some:
                    heard.update(row.ino for row in self._index.rows.of_item(item.id))
        self._showing.only(heard)
        self._put_words(cursor=str(cursor), generation=generation, sizes="")

    def _clear(self) -> None:
        """Show nothing, as soon as nobody stands in the way."""
        self._showing.only(Marks())
        while self._showing.behind and not self._stop.wait(AGAIN_S):
            self._catch_up()

    def take(self, items: Sequence[Item]) -> None:
        """Make the tree show these items as they are now; raises RemoteError."""
        present = [item for item in items if item.state == ItemState.PRESENT]
        sidecars = self._sidecars.of(present) if present else {}
        for item in items:
            if self._stop.is_set():
                return
            self._showing.show(item, sidecars.get(item.id))
        self._showing.settle()
