"""The embedded hub: found where one runs, started where none does.

Any command that needs it calls `ensure`. Two that race start two processes; the data folder's
lock lets one of them live, and both commands find it by its address file.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from syncd.config.load import load
from syncd.config.parts import HubConfig
from syncd.config.places import Places
from syncd.daemon.shorten import shorten_logs
from syncd.errors import StateError, SyncdError, TransientError
from syncd.remotes.trust import Exactly, Trust
from syncd.remotes.wire import Wire
from syncd.value import value

logger = logging.getLogger(__name__)
START_S = 20.0
"""Less than a daemon has to stop, and to feed its watchdog: it may wait for a start meanwhile."""
SLOW_S = 5.0
"""After so long whoever waits for a start is told so."""
AGAIN_S = 1.0
"""So long one that is coming up is left alone before another one is started, then twice as long."""
TAKEN = 6
"""The status of one that found the data folder taken."""
IDLE_S = 60.0
"""So long after its last client has gone the embedded hub stops."""

_ASIDE = re.compile(
    r"(\n\[SQL: ((?!\nTraceback).)*)?\n\(Background on this error[^\n]*\Z", re.DOTALL
)
"""What SQLAlchemy puts below the line that tells: the statement, and where to read more."""


@value
class Address:
    """Where a hub listens and what lets one in; its repr shows no token."""

    url: str
    token: str
    pid: int
    data: Path
    ca: Path | None = None
    """The certificate it shows, where it listens with TLS."""

    @property
    def trust(self) -> Trust | None:
        return Exactly(self.ca) if self.ca else None

    def __repr__(self) -> str:
        return f"Address(url={self.url!r}, pid={self.pid})"


def told(places: Places) -> Address | None:
    """The hub this user's address file names, whether it still answers or not."""
    try:
        found = json.loads(places.hub_address.read_text())
        return Address(
            url=str(found["url"]), token=str(found["token"]), pid=int(found["pid"]),
            data=Path(found["data"]), ca=Path(found["ca"]) if "ca" in found else None,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(places: Places) -> Address | None:
    """The hub this user's address file names, if it answers."""
    address = told(places)
    return address if address and _answers(address) else None


def last(places: Places) -> Address:
    """Where the hub was when it last ran, or where nobody answers: for who can do without it until
    it is started again."""
    nowhere = Address(url="http://127.0.0.1:1", token="", pid=0, data=places.hub_data)
    return told(places) or nowhere


def ensure(places: Places) -> Address:
    """The embedded hub's address; starts it where none answers."""
    found = running(places)
    if found:
        return found
    log = places.state / "hub.log"
    process, status, pause = _started(places, log), None, AGAIN_S
    deadline, slow, again = (time.monotonic() + s for s in (START_S, SLOW_S, pause))
    while time.monotonic() < deadline and status in (None, 0, TAKEN):
        found = running(places)
        if found:
            return found
        ended = process.poll()
        status = status if ended is None else ended
        if ended == TAKEN and time.monotonic() > again:
            # Another one was quicker, and is still coming up; or one is ending, with no address.
            pause *= 2
            process, again = _started(places, log), time.monotonic() + pause
        if time.monotonic() > slow:
            slow = deadline
            logger.warning("the embedded hub does not answer yet: %s tells what it says", log)
        time.sleep(0.02)
    if status == TAKEN:
        raise TransientError(f"the embedded hub runs, but it does not answer: {_last_line(log)}")
    raise StateError("the embedded hub did not start", path=str(log), hint=_last_line(log))


def _started(places: Places, log: Path) -> subprocess.Popen[bytes]:
    process = _start(places, log)
    # It outlives this call, and mostly this process; while both live, somebody has to reap it.
    threading.Thread(target=process.wait, name="syncd-hub-reap", daemon=True).start()
    return process


def _start(places: Places, log: Path) -> subprocess.Popen[bytes]:
    places.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    shorten_logs(places.state)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own module, our own interpreter
            [sys.executable, "-m", "syncd.hub", *_options(places)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
            cwd="/",
        )


def _options(places: Places) -> list[str]:
    wanted = {
        "--data": places.hub_data,
        "--address-file": places.hub_address,
        "--idle": IDLE_S,
    } | _configured(load(places).hub)
    return [str(word) for option in wanted.items() for word in option]


def _configured(hub: HubConfig) -> dict[str, object]:
    wanted = {
        "--port": hub.port,
        "--min-free": hub.min_free,
        "--retention-days": hub.retention_days,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _answers(address: Address) -> bool:
    try:
        with closing(Wire(address.url, "", timeout=5.0, trust=address.trust)) as wire:
            return bool(wire.json("GET", "/health").get("ok"))
    except TransientError as error:
        # One that is alive but slow must not get a rival.
        return _alive(address.pid) and error.answered
    except SyncdError:
        return False


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _last_line(log: Path) -> str:
    """What the hub said last: where it ended with an error, the line that tells which."""
    try:
        text = _ASIDE.sub("", log.read_text(errors="replace").strip())
    except OSError:
        return "its log cannot be read"
    return text.rpartition("\n")[2] or "its log is empty"
