"""What the disk shows, brought into the state file: whole sweeps and single looks.

Used by the control thread only. What could not be looked at is unknown, not gone: nothing below
a folder that could not be listed is ever counted as missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from syncd.clock import Clock
from syncd.local.ignore import Filter
from syncd.local.listing import Glance, Listing
from syncd.local.look import look
from syncd.local.scan import Ahead, walk
from syncd.model import Stat
from syncd.state.store import State

SHOWN = 1000
"""How many refused names are kept for status; more are only counted."""


class Observer:
    """Brings observations of one root into one state file."""

    def __init__(
        self,
        root: Path,
        chosen: Filter,
        state: State,
        clock: Clock,
        *,
        grace_ns: int | None,
        changed: Callable[[str], None],
    ) -> None:
        """`grace_ns` is how long a vanished file waits for its other half of a move before its
        item may be removed; None means it is never decided (a one-shot push). `changed` hears
        every path that is not what it was."""
        self._root = root
        self._filter = chosen
        self._state = state
        self._clock = clock
        self._grace_ns = grace_ns
        self._changed = changed
        self.ahead: Ahead = lambda _folder: None
        """Who looked over the root already, if anybody did; asked by sweeps."""
        self.files = 0
        self.ignored: Counter[str] = Counter()

    def sweep(self) -> Iterator[None]:
        """Scan everything, a folder per step; at the end record counts and what is missing."""
        self.files = 0
        ignored: Counter[str] = Counter()
        self.ignored = ignored
        refused: list[tuple[str, str]] = []
        listed: set[str] = set()
        unknown: list[str] = []
        for listing in walk(self._root, self._filter, ahead=self._unchanged):
            listed.add(listing.dir)
            ignored.update(listing.ignored)
            if isinstance(listing, Glance):
                self.files += listing.count
                yield
                continue
            self._merge(listing)
            refused.extend(listing.refused)
            self.files += len(listing.files)
            if not listing.complete:
                unknown.append(listing.dir)
                refused.append((listing.dir or ".", listing.error or "could not be listed"))
            yield
        self._drop_unlisted("", listed, unknown)
        self._state.meta.put(
            ignored=dict(ignored), refused=refused[:SHOWN], refused_count=len(refused)
        )

    def branch(self, folder: str) -> None:
        """Look at a folder and everything below it now; a file may have had its name."""
        if folder and self._state.files.row(folder):
            found = look(self._root, self._filter, folder)
            self.note(folder, found.stat if found else None)
        listed: set[str] = set()
        unknown: list[str] = []
        for listing in walk(self._root, self._filter, below=folder):
            self._merge(listing)
            listed.add(listing.dir)
            if not listing.complete:
                unknown.append(listing.dir)
        self._drop_unlisted(folder, listed, unknown)

    def only(self, names: Iterable[str]) -> None:
        """Look at these files of the root and at nothing else."""
        for name in names:
            found = look(self._root, self._filter, name)
            if found and found.stat:
                self.note(name, found.stat)
                self._state.agenda.wake(self._clock.now_ns(), [name])
                self.files += 1
            elif found and found.sidecar:
                self.note_sidecar(name, found.sidecar)
            else:
                self.ignored[self._filter.why(name) or "not a file"] += 1

    def note(self, path: str, stat: Stat | None) -> bool:
        """Record one file as `look` found it; None is gone. True where that is news."""
        folder, _, name = path.rpartition("/")
        row = self._state.files.row(path)
        if stat is None:
            if row is None or row.gone:
                return False
            self._miss(folder, [name])
            return True
        if row and row.gone is None and row.stat == stat:
            return False
        if (row is None or row.gone) and self._state.folders.any_at(path):
            self._drop_unlisted(path, set(), [])  # A folder had its name.
        self._see(folder, {name: stat})
        return True

    def note_sidecar(self, path: str, stat: Stat | None) -> bool:
        """Record what may be a sidecar as `look` found it; None is gone. True where it is news."""
        table = self._state.sidecars
        folder, _, name = path.rpartition("/")
        known = table.at(path) if table.any else None
        if stat is None:
            if known is None or known.gone:
                return False
            self._miss_sidecars(folder, [name])
        elif known and known.gone is None and known.stat == stat:
            return False
        else:
            table.see(folder, {name: stat}, self._clock.now_ns())
        return True

    def _unchanged(self, folder: str) -> Glance | None:
        """What somebody saw of a folder before us, where it is just what the state file holds."""
        glance = self.ahead(folder)
        return glance if glance and glance.print == self._state.folders.print_of(folder) else None

    def _merge(self, listing: Listing) -> None:
        print_ = listing.print()
        if self._state.folders.print_of(listing.dir) == print_:
            return
        known = self._state.files.observed(listing.dir)
        news = {name: stat for name, stat in listing.files.items() if known.get(name) != stat}
        if news:
            self._see(listing.dir, news)
        if listing.sidecars or self._state.sidecars.any:
            self._merge_sidecars(listing)
        if listing.complete:
            missing = known.keys() - listing.files.keys()
            if missing:
                self._miss(listing.dir, missing)
            self._state.folders.keep_print(listing.dir, print_)

    def _merge_sidecars(self, listing: Listing) -> None:
        table, seen = self._state.sidecars, listing.sidecars
        known = table.observed(listing.dir) if table.any else {}
        news = {name: stat for name, stat in seen.items() if known.get(name) != stat}
        if news:
            table.see(listing.dir, news, self._clock.now_ns())
        if listing.complete and (missing := known.keys() - seen.keys()):
            self._miss_sidecars(listing.dir, missing)

    def _drop_unlisted(self, top: str, listed: set[str], unknown: list[str]) -> None:
        def unseen(folder: str) -> bool:
            return folder not in listed and not any(_within(folder, dark) for dark in unknown)

        for folder in filter(unseen, self._state.folders.below(top)):
            self._miss(folder, self._state.files.observed(folder))
        if self._state.sidecars.any:
            for folder in filter(unseen, self._state.sidecars.below(top)):
                self._miss_sidecars(folder, self._state.sidecars.observed(folder))

    def _see(self, folder: str, files: dict[str, Stat]) -> None:
        self._state.files.see(folder, files, self._clock.now_ns())
        self._tell(folder, files)

    def _miss(self, folder: str, names: Iterable[str]) -> None:
        now = self._clock.now_ns()
        due = None if self._grace_ns is None else now + self._grace_ns
        gone: list[str] = []
        left_out: list[str] = []
        for name in names:
            path = f"{folder}/{name}" if folder else name
            (gone if self._filter.why(path) is None else left_out).append(name)
        # What a rule leaves out now is nobody's business any more: its item stays as it is.
        self._state.receipts.abandon(f"{folder}/{name}" if folder else name for name in left_out)
        self._state.files.miss(folder, gone, now, due)
        self._tell(folder, gone)

    def _miss_sidecars(self, folder: str, names: Iterable[str]) -> None:
        now, table = self._clock.now_ns(), self._state.sidecars
        due = None if self._grace_ns is None else now + self._grace_ns
        prefix = f"{folder}/" if folder else ""
        followed = {name for name in names if self._filter.beside(prefix + name)}
        # One that a rule leaves out now is not looked at any more: what it set stays.
        left_out = [table.at(prefix + name) for name in set(names) - followed]
        table.forget(row for row in left_out if row)
        table.miss(folder, followed, now, due)

    def _tell(self, folder: str, names: Iterable[str]) -> None:
        prefix = f"{folder}/" if folder else ""
        for name in names:
            self._changed(prefix + name)


def _within(folder: str, top: str) -> bool:
    return top in ("", folder) or folder.startswith(top + "/")
