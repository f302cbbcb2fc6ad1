"""Mounts that a daemon tends: one `syncd mount --foreground` each, in a process of its own.

`Daemon` asks once a second. A mount that ends is begun again, later and later; one that does not
answer is ended first. The question is asked in a thread, because it may never be answered.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence

from syncd.config.parts import MountEntry
from syncd.config.places import Places, inherited
from syncd.mount.point import own_at

log = logging.getLogger(__name__)

ASK_S = 5.0
LATE_S = 12.0
"""Not alive, as far as the watchdog is told: two questions in a row had no answer."""
SILENT_S = 45.0
"""Stuck: longer than any call of a mount may take where its remote is frozen, which is 30 s."""
STOP_S = 20.0
OPEN_S = 900.0
"""So long a mount may take to appear."""
LONGEST_S = 60.0
FINAL = (2, 3, 7)
"""Exit statuses of what a person has to mend: trying again would only be noise."""


class Mounted:
    """One mount and the process that serves it."""

    def __init__(self, entry: MountEntry, where: Places, told: Sequence[str] = ()) -> None:
        self.entry = entry
        self._told = told
        self._where = where
        self._child: subprocess.Popen[bytes] | None = None
        self._ceased = False
        self._begun = 0.0
        self._pause = 1.0
        self._asked = 0.0
        self._answered = 0.0
        self.refused: int | None = None
        """The exit status with which it ended for good."""
        self._appeared: float | None = None
        """When the kernel first listed the mount."""
        self._asking: threading.Thread | None = None

    def begin(self) -> None:
        self._begun = time.monotonic()
        self._appeared = None
        self._ceased = False
        named = self._where.named
        self._child = subprocess.Popen(  # noqa: S603 - our own module, our own interpreter
            command(self.entry, self._told),
            stdin=subprocess.DEVNULL,
            env=inherited({"SYNCD_CONFIG_FILE": str(named)} if named else {}),
        )

    def look(self) -> bool:
        """Whether it is mounted and answered lately; mends what is not."""
        now = time.monotonic()
        if self.refused is not None:
            return True
        if self._child is None or self._child.poll() is not None:
            self._again(now)
            return True
        if self._appeared is None:
            # Before that it may be taking in the names of a million items.
            self._appeared = now if own_at(self.entry.path) else None
            if self._appeared is None and now - self._begun > OPEN_S:
                log.error("mount does not appear path=%s", self.entry.path)
                self._child.kill()
            return True
        often = ASK_S if self.served else 0.0
        if now - self._asked >= often and not (self._asking and self._asking.is_alive()):
            self._asked = now
            self._asking = threading.Thread(target=self._ask, name="syncd-mount-alive", daemon=True)
            self._asking.start()
        silent = now - max(self._answered, self._appeared)
        if silent > SILENT_S:
            log.error("mount does not answer path=%s", self.entry.path)
            self._child.kill()
        return silent < LATE_S

    @property
    def served(self) -> bool:
        """Whether somebody asked it and was answered since it was mounted."""
        return self._appeared is not None and self._answered > self._appeared

    def cease(self) -> None:
        """Tell it to end, once, and do not wait."""
        if self._child is not None and not self._ceased:
            self._child.terminate()
            self._ceased = True

    def end(self, until: float) -> None:
        """Wait for its end; from that moment on by force."""
        if self._child is None:
            return
        try:
            self._child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def _again(self, now: float) -> None:
        if self._child is not None:
            status = self._child.returncode
            self._child = None
            if status in FINAL:
                self.refused = status
                log.error("mount ended for good path=%s status=%s", self.entry.path, status)
                return
            self._pause = 1.0 if now - self._begun > LONGEST_S else min(2 * self._pause, LONGEST_S)
            log.error(
                "mount ended path=%s status=%s retry_s=%.0f", self.entry.path, status, self._pause
            )
            self._begun = now
        elif now - self._begun >= self._pause:
            self.begin()

    def _ask(self) -> None:
        # Not stat: the kernel may answer that by itself for as long as it likes.
        try:
            os.statvfs(self.entry.path)
            self._answered = time.monotonic()
        except OSError as error:
            log.debug("mount refused path=%s reason=%s", self.entry.path, error)


class Mounts:
    """All mounts of one daemon."""

    def __init__(
        self, where: Places, wanted: Sequence[MountEntry], told: Sequence[str] = ()
    ) -> None:
        """`told` are options for all of them, besides those of their entries."""
        self._where = where
        self._told = told
        self.wanted = {entry: Mounted(entry, where, told) for entry in wanted}

    def begin(self) -> None:
        for mounted in self.wanted.values():
            mounted.begin()

    def look(self) -> bool:
        """Whether every mount is alive."""
        return all([mounted.look() for mounted in self.wanted.values()])

    @property
    def refused(self) -> int | None:
        """The exit status of a mount that ended for good, if one did."""
        return next((one.refused for one in self.wanted.values() if one.refused), None)

    @property
    def over(self) -> bool:
        """Whether there were mounts, and all have ended for good."""
        return bool(self.wanted) and all(one.refused for one in self.wanted.values())

    @property
    def served(self) -> bool:
        """Whether every mount was asked and answered."""
        return all(mounted.served for mounted in self.wanted.values())

    def assign(self, entries: Sequence[MountEntry]) -> None:
        """Have exactly these mounted; one that did not change is not touched."""
        _end([self.wanted.pop(entry) for entry in self.wanted.keys() - set(entries)])
        for entry in entries:
            if entry not in self.wanted or self.wanted[entry].refused:
                self.wanted[entry] = Mounted(entry, self._where, self._told)
                self.wanted[entry].begin()

    def cease(self) -> None:
        """Tell all of them to end, and wait for none."""
        for mounted in self.wanted.values():
            mounted.cease()

    def end(self) -> None:
        _end(self.wanted.values())


def _end(those: Collection[Mounted]) -> None:
    """All of them at once, so that many take no longer than one."""
    for mounted in those:
        mounted.cease()
    until = time.monotonic() + STOP_S
    for mounted in those:
        mounted.end(until)


def command(entry: MountEntry, told: Sequence[str] = ()) -> list[str]:
    """What serves a mount in the foreground."""
    words = [sys.executable, "-m", "syncd", "mount"]
    words += [entry.dataset] if entry.dataset else ["--all"]
    words += [str(entry.path), "--foreground", *told]
    words += ["--remote", entry.remote] if entry.remote else []
    for name, value in entry.options:
        option = f"--{name.replace('_', '-')}"
        if value is not False:
            words += [option] if value is True else [option, str(value)]
    # It must not stay where its daemon is killed: the next one would find the place taken.
    bound = shutil.which("setpriv")
    return [bound, "--pdeathsig", "TERM", *words] if bound else words
