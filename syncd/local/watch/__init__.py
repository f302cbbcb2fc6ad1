"""Turns what happens in a folder into hints, and every event that may be lost into a doubt.

A watchdog observer mirrors the tree of folders: `tree` holds one inotify watch a folder and emits
events, `observer` is watchdog's emitter and observer around it, `event` says what an event means,
and `watcher` supervises them, whatever becomes of the root. Nothing outside imports anything but
what is named here, and nothing else in syncd imports watchdog.
"""

from syncd.local.watch.watcher import Coverage, Watcher

__all__ = ["Coverage", "Watcher"]
