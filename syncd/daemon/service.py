"""The daemon: every mirror of one call or configuration in one process, from start to drained end.

Called by `syncd watch` and `syncd run`, in the main thread. The first signal lets what is under
way end, a second one ends the process on the spot: the state file bears it. The watchdog of systemd
is fed here, after a look at every mirror and mount.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from types import FrameType
from urllib.parse import urlencode

from syncd.client import Client
from syncd.config.places import Places
from syncd.daemon.exporter import exporter
from syncd.daemon.fleet import Fleet
from syncd.daemon.notify import Notifier
from syncd.daemon.roster import Duty, configured
from syncd.daemon.sayings import Sayings, Voice
from syncd.daemon.tended import Mounts
from syncd.engine.mirror import Mirror
from syncd.errors import SyncdError

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""A signal that another thread was given wakes nobody: so often this one looks by itself."""
AGAIN_S = 10.0
"""So long after its end a mirror of a configuration is begun again, where that may help."""


class News(Enum):
    """What ends a wait of the main thread."""

    STOP = "stop"
    REREAD = "reread"
    ENDED = "ended"


SIGNALS = {signal.SIGINT: News.STOP, signal.SIGTERM: News.STOP}


class Service:
    """Watches folders until a signal comes."""

    signals = SIGNALS

    def __init__(
        self, where: Places, duties: Sequence[Duty], voice: Voice, *, again_s: float | None
    ) -> None:
        self.notifier = Notifier()
        self.fleet = Fleet(
            where, self._ready, lambda: self._news.put(News.ENDED), again_s=again_s
        )  # fmt: skip
        self._duties = duties
        self._voice = voice
        self._linked = False
        # A SimpleQueue may be filled by a signal handler; an Event or a lock may not.
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._told_to_stop = False

    def run(self) -> None:
        """Watch until SIGINT or SIGTERM; raises what ended the last mirror."""
        with self._listening():
            try:
                self.begin()
                self._wait()
            finally:
                self.notifier.stopping()
                self.end()
        errors = [member.error for member in self.fleet.members if member.error]
        if errors and not self._told_to_stop:
            raise errors[0]
        if self.fleet.members:
            self._voice.say("stopped: all that was reported stored is stored")

    def begin(self) -> None:
        """Set to work; what cannot be at all is raised."""
        self.fleet.assign(self._duties)

    def look(self) -> bool:
        """See after everything, about once a second; whether all of it is alive."""
        self.fleet.tick()
        return self.fleet.alive

    def reread(self) -> None:
        """Nothing to read again: what a call asks for stays."""

    def end(self) -> None:
        """Let what runs end; what does not is left to the state file, which bears it."""
        if not self.fleet.stop():
            log.warning("remote frozen, not waited for: what is cut short is done after a start")
            logging.shutdown()
            os._exit(0 if self._told_to_stop else 1)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.fleet.over

    def _wait(self) -> None:
        while not self.over:
            if self.look():
                self.notifier.alive()
            self.notifier.status(self.summary())
            with suppress(queue.Empty):
                match self._news.get(timeout=LOOK_S):
                    case News.STOP:
                        return
                    case News.REREAD:
                        self.reread()

    def summary(self) -> str:
        """How it goes, in one line."""
        members = self.fleet.members
        ended = [member for member in members if member.ended_at is not None]
        stopped = [m.mirror.guard.closed for m in members if m.mirror and m.mirror.guard.closed]
        words = [f"{len(members)} mirror{'' if len(members) == 1 else 's'}"]
        waiting = sum(member.mirror is None for member in members if member not in ended)
        words += [f"{waiting} wait for their remote"] if waiting else []
        files = sum(m.mirror.tally.files for m in members if m.mirror)
        stored = sum(m.mirror.tally.uploaded for m in members if m.mirror)
        words += [f"{files} files", f"{stored} stored since the start"]
        words += [f"{len(stopped)} paused: {stopped[0]}"] if stopped else []
        words += [f"{len(ended)} ended: {ended[0].error}"] if ended else []
        return ", ".join(words)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._told) for number in self.signals}
        try:
            yield
        finally:
            for number, known in before.items():
                signal.signal(number, known)

    def _told(self, number: int, frame: FrameType | None) -> None:
        news = self.signals[signal.Signals(number)]
        if news is News.STOP:
            if self._told_to_stop:
                os._exit(128 + number)
            self._told_to_stop = True
        self._news.put(news)

    def _ready(self, mirror: Mirror, client: Client) -> Sayings:
        mirror.state.meta.put(remote=client.name)
        subject, name = mirror.subject, mirror.dataset.info.name
        self._voice.say(f"drop files into {subject.root}: they appear in the dataset {name!r}")
        if not self._linked:
            self._linked = True
            with suppress(SyncdError):
                self._voice.say(
                    f"see them at {client.remote.link()}#{urlencode({'dataset': name})}"
                )
                self._voice.say("(good for one browser, for 60 s; `syncd open` prints another)")
        return Sayings(self._voice, mirror)


class Daemon(Service):
    """What a configuration asks for, read again at SIGHUP."""

    signals = SIGNALS | {signal.SIGHUP: News.REREAD}

    def __init__(self, where: Places, voice: Voice, told: Sequence[str] = ()) -> None:
        """`told` are options for every mount."""
        config, duties = configured(where)
        super().__init__(where, duties, voice, again_s=AGAIN_S)
        self._where = where
        self._metrics = config.metrics
        self._exporter = exporter(config.metrics)
        self._linked = True  # a link for a browser has no place in a log
        # Under systemd every mount has a unit of its own, so that one can fail alone.
        self._mounts = Mounts(where, () if self.notifier.listened_to else config.mounts, told)

    def begin(self) -> None:
        super().begin()
        self._mounts.begin()
        if not self.fleet.members and not self._mounts.wanted:
            self._voice.warn(
                f"nothing to do: {self._where.config_file} lists no [[mirror]] and no [[mount]];"
                " add one, then send SIGHUP"
            )
        self._exporter.start()
        self.notifier.ready()

    def look(self) -> bool:
        mounted = self._mounts.look()
        return super().look() and mounted

    def reread(self) -> None:
        """Take on the configuration as it is now; one that makes no sense changes nothing."""
        self.notifier.reloading()
        try:
            config, duties = configured(self._where)
            self.fleet.assign(duties)
            self._mounts.assign(() if self.notifier.listened_to else config.mounts)
            log.info("configuration read again mirrors=%d", len(duties))
            if config.metrics != self._metrics:
                log.warning("change of [metrics] not taken: that needs a restart")
        except SyncdError as error:
            log.error("configuration not taken, the one before stays reason=%s", error)
            self._voice.say(f"the configuration is not taken, the one before stays: {error}")
        self.notifier.ready()

    def end(self) -> None:
        # All are told before any is waited for: systemd waits for the sum of it.
        self.fleet.cease()
        self._mounts.cease()
        self._exporter.stop()
        self._mounts.end()
        super().end()

    @property
    def over(self) -> bool:
        mirrors, mounts = self.fleet.members, self._mounts.wanted
        ended = (not mirrors or super().over) and (not mounts or self._mounts.over)
        return ended and bool(mirrors or mounts)

    @property
    def status(self) -> int:
        """The exit status where mounts were all there was, and none can be served; else 0."""
        return 0 if self.fleet.members else self._mounts.refused or 0
