"""The watch as watchdog runs one: an emitter that owns a tree, and the observer that dispatches.

Two threads: the emitter's waits for the kernel and queues events; the observer's takes them out
of the queue to the teller, which makes hints of them. Neither wakes up for nothing. The queue
drops an event that equals the last one in it, which loses no hint: the one still waiting there
is told after both have happened. What must stay true: no exception of a callback ends either
thread, and a stop is over as soon as the call under way is.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import (
    DEFAULT_EMITTER_TIMEOUT,
    BaseObserver,
    EventEmitter,
    EventQueue,
    ObservedWatch,
)

from syncd.local.hint import Hint
from syncd.local.watch.event import hint_of
from syncd.local.watch.tree import Tree, quietly

log = logging.getLogger(__name__)

PAUSE = 0.001
"""Seconds between two reads. In a burst more is read at once, a file's making and closing as one:
measured 1.0 events and 20 µs a file, without it 1.3 and 30; and what comes alone waits for nothing.
"""


class TreeEmitter(EventEmitter):
    """Queues what happens in one tree; its thread is the tree's reader.

    `start` raises OSError where the root cannot be watched. A reader that fails ends the emitter,
    and whoever supervises the observer finds it dead.
    """

    def __init__(
        self,
        event_queue: EventQueue,
        watch: ObservedWatch,
        *,
        timeout: float = DEFAULT_EMITTER_TIMEOUT,
        event_filter: list[type[FileSystemEvent]] | None = None,
        doubt: Callable[[str], None],
    ) -> None:
        super().__init__(event_queue, watch, timeout=timeout, event_filter=event_filter)
        self.name = "syncd-watch-emitter"
        # Not `watch.path`, which is the folder above where the root is a file by now.
        self.tree = Tree(os.fsencode(watch.raw_path), self.queue_event, doubt)

    def on_thread_start(self) -> None:
        self.tree.open()

    def on_thread_stop(self) -> None:
        self.tree.close()

    def queue_events(self, timeout: float) -> None:
        """Waits for events without any timeout: closing the tree ends the wait."""
        try:
            self.tree.read()
            time.sleep(PAUSE)
        except Exception:
            log.exception("events of %r cannot be read any more", self.watch.raw_path)
            self.stop()


class Teller(FileSystemEventHandler):
    """Tells a hint for every event; where that fails, it is doubted and the next one taken."""

    def __init__(self, deliver: Callable[[Hint], None], doubt: Callable[[str], None]) -> None:
        self._deliver = deliver
        self._doubt = doubt

    def on_any_event(self, event: FileSystemEvent) -> None:
        try:
            self._deliver(hint_of(event))
        except Exception as error:
            log.exception("an event was lost: %r", event)
            quietly(self._doubt, f"an event was lost: {error}")


class TreeObserver(BaseObserver):
    """Watches one root: `start` it, see that it is `alive`, `end` it."""

    def __init__(
        self, root: bytes, deliver: Callable[[Hint], None], doubt: Callable[[str], None]
    ) -> None:
        super().__init__(TreeEmitter, doubt=doubt)
        self.name = "syncd-watch-observer"
        self.schedule(Teller(deliver, doubt), os.fsdecode(root), recursive=True)

    @property
    def alive(self) -> bool:
        """Whether events still come in and are still passed on."""
        return self.is_alive() and all(emitter.is_alive() for emitter in self.emitters)

    @property
    def tree(self) -> Tree:
        (emitter,) = self.emitters
        assert isinstance(emitter, TreeEmitter)  # noqa: S101 - no other class was ever named
        return emitter.tree

    def end(self) -> None:
        """Stops both threads and waits for them; nothing is delivered after that."""
        self.stop()
        if self.is_alive():
            self.join()
