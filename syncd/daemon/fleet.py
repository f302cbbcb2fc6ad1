"""All mirrors of one daemon: set to work, looked after, exchanged when the configuration changes.

Belongs to the main thread of `Service`. A mirror whose duty did not change is never touched; one
that ended is begun again where trying again can help.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from syncd.client import Client
from syncd.config.places import Places
from syncd.daemon.remote import Found
from syncd.daemon.roster import Duty
from syncd.daemon.sayings import Sayings
from syncd.daemon.watching import Watching
from syncd.engine.mirror import Mirror
from syncd.engine.opening import Target
from syncd.errors import ConfigError, DeniedError, SyncdError, UsageError

log = logging.getLogger(__name__)

STALL_S = 60.0
"""A control thread that took no turn for so long is stuck: a turn takes milliseconds."""
OPEN_S = 900.0
"""So long one try to open a mirror may take: it may bring a large state file up to date."""
STOP_S = 25.0
"""What runs has 20 s to end. Only a question to a remote that is frozen takes longer."""
FINAL = (UsageError, ConfigError, DeniedError)
"""What a person has to mend: trying again would only be noise."""

Ready = Callable[[Mirror, Client], Sayings]


class Member:
    """One mirror at work, and its last sign of life."""

    def __init__(self, duty: Duty, client: Client, ready: Ready, ended: Callable[[], None]) -> None:
        self.duty = duty
        self.mirror: Mirror | None = None
        self.ended_at: float | None = None
        self.mourned = False
        self._beat = 0.0
        self._told = ready
        self._tell_end = ended
        self._client = client
        self._sayings: Sayings | None = None
        self.watching = Watching(
            duty.target, client.remote, client.places.mirrors,
            revive=client.revive, ready=self._ready, ended=self._ended,
        )  # fmt: skip

    @property
    def error(self) -> SyncdError | None:
        return self.watching.error

    @property
    def alive(self) -> bool:
        """It ended, or lately tried to open, or took a turn and looked at its watch lately."""
        if self.ended_at is not None:
            return True
        if self.mirror is None:
            return time.monotonic() - self.watching.tried < OPEN_S
        return time.monotonic() - self._beat < STALL_S

    def tick(self) -> None:
        """Called by the control thread about once a second, after it looked at its watch."""
        self._beat = time.monotonic()
        if self._sayings is not None:
            self._sayings.tick()

    def _ready(self, mirror: Mirror) -> Member:
        self._sayings = self._told(mirror, self._client)
        self.tick()
        self.mirror = mirror
        return self

    def _ended(self, watching: Watching) -> None:
        self.ended_at = time.monotonic()
        self._tell_end()


class Fleet:
    """The mirrors that run, those on their way out, and the clients that they share."""

    def __init__(
        self, where: Places, ready: Ready, ended: Callable[[], None], *, again_s: float | None
    ) -> None:
        """`ready` and `ended` are called from the mirrors' threads; `again_s` is how long after
        its end a mirror is begun again, where that may help; None is never."""
        self._where = where
        self._ready = ready
        self._ended = ended
        self._again_s = again_s
        self._members: dict[Duty, Member] = {}
        self._leaving: list[Member] = []
        self._waiting: list[Duty] = []
        """Those of the members that cannot start before another has left."""
        self._clients: dict[Found, Client] = {}
        self._until: float | None = None
        """When whoever still runs is no longer waited for."""

    @property
    def members(self) -> list[Member]:
        return list(self._members.values())

    @property
    def alive(self) -> bool:
        """Whether every mirror is at work, or has said why not."""
        return all(member.alive for member in self._members.values())

    @property
    def over(self) -> bool:
        """Whether there were mirrors, and all have ended for good."""
        return bool(self._members) and all(
            member.ended_at is not None and self._for_good(member) for member in self.members
        )

    def assign(self, duties: Sequence[Duty]) -> None:
        """Have exactly these duties done; what is done already goes on undisturbed. Raises what
        `Client` raises, and then nothing has changed."""
        for duty in duties:
            self._client(duty.found)
        for duty in [known for known in self._members if known not in duties]:
            self._dismiss(self._members.pop(duty))
        for duty in duties:
            member = self._members.get(duty)
            if member is None or member.ended_at is not None:
                self._begin(duty)

    def tick(self) -> None:
        """Let go of who has left; begin what waited for that, and what ended and may succeed."""
        self._leaving = [one for one in self._leaving if not one.watching.join(0)]
        self._start_those_that_can()
        if not self._leaving:
            self._close_unused()
        now = time.monotonic()
        for duty, member in list(self._members.items()):
            ended = member.ended_at
            if ended is not None and not member.mourned:
                member.mourned = True
                log.error("mirror ended root=%s reason=%s", duty.target.root, member.error)
            if ended is None or self._for_good(member) or now - ended < (self._again_s or 0):
                continue
            log.warning("mirror begins again root=%s", duty.target.root)
            self._begin(duty)

    def cease(self) -> None:
        """Tell every mirror to end, and wait for none."""
        self._until = time.monotonic() + STOP_S
        for member in (*self._members.values(), *self._leaving):
            member.watching.stop()

    def stop(self) -> bool:
        """Have every mirror end; whether all did in time, counted from `cease` if it was called."""
        if self._until is None:
            self.cease()
        until = self._until or 0.0
        everyone = [*self._members.values(), *self._leaving]
        ended = [one.watching.join(max(0.0, until - time.monotonic())) for one in everyone]
        for client in self._clients.values():
            client.close()
        return all(ended)

    def _for_good(self, member: Member) -> bool:
        return self._again_s is None or isinstance(member.error, FINAL)

    def _begin(self, duty: Duty) -> None:
        if duty in self._members:
            self._leaving.append(self._members[duty])
        self._members[duty] = Member(duty, self._client(duty.found), self._ready, self._ended)
        if duty not in self._waiting:
            self._waiting.append(duty)
        self._start_those_that_can()

    def _start_those_that_can(self) -> None:
        """The state folder has one owner: the one before must have let go of it."""
        waiting, self._waiting = self._waiting, []
        for duty in waiting:
            before = [one for one in self._leaving if _same_state(one.duty.target, duty.target)]
            if not all([one.watching.join(0) for one in before]):
                self._waiting.append(duty)
            elif duty in self._members:
                self._members[duty].watching.start()

    def _dismiss(self, member: Member) -> None:
        member.watching.stop()
        self._leaving.append(member)
        log.info("mirror leaves root=%s", member.duty.target.root)

    def _client(self, found: Found) -> Client:
        if found not in self._clients:
            token = found.token or None
            self._clients[found] = Client(found.name, where=self._where, token=token)
        return self._clients[found]

    def _close_unused(self) -> None:
        for found in self._clients.keys() - {duty.found for duty in self._members}:
            self._clients.pop(found).close()


def _same_state(one: Target, other: Target) -> bool:
    return (one.root, one.remote, one.dataset) == (other.root, other.remote, other.dataset)
