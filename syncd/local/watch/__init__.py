"""Turns what happens in a folder into hints, and every event that may be lost into a doubt.

`tree` holds one inotify watch a folder and makes hints of events, on the layer below watchdog's
Observer; `watcher` keeps a tree alive whatever becomes of the root. Nothing outside imports
anything but what is named here, and nothing but `tree` imports watchdog.
"""

from syncd.local.watch.tree import Hint
from syncd.local.watch.watcher import Coverage, Watcher

__all__ = ["Coverage", "Hint", "Watcher"]
