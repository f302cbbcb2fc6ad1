"""What the kernel says in watchdog's words, and what those mean to the engine.

Pure both ways: the tree makes events of what its watches report, and the observer's teller makes
hints of the events. Paths in events are relative to the root. The halves of a move come as two
events, each without the other path: by the time they could be paired, both would be late.
"""

from __future__ import annotations

import os

from watchdog.events import (
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
)
from watchdog.observers.inotify_c import InotifyConstants

from syncd.local.hint import Hint


def event_of(path: str, mask: int) -> FileSystemEvent:
    """The event for what happened to `path`, by the bits of the kernel's mask."""
    folder = mask & InotifyConstants.IN_ISDIR
    if mask & InotifyConstants.IN_CLOSE_WRITE:
        return FileClosedEvent(path)
    if mask & InotifyConstants.IN_CREATE:
        return DirCreatedEvent(path) if folder else FileCreatedEvent(path)
    if mask & InotifyConstants.IN_DELETE:
        return DirDeletedEvent(path) if folder else FileDeletedEvent(path)
    moved = DirMovedEvent if folder else FileMovedEvent
    return moved(path) if mask & InotifyConstants.IN_MOVED_FROM else moved("", path)


def hint_of(event: FileSystemEvent) -> Hint:
    """Where to look, and whether at once: a file that was made has a writer, one that was deleted
    may have been replaced."""
    path = os.fsdecode(event.src_path or event.dest_path)
    gone = event.event_type == EVENT_TYPE_DELETED
    begun = event.event_type == EVENT_TYPE_CREATED and not event.is_directory
    return Hint(path=path, prompt=not (gone or begun), tree=event.is_directory)
