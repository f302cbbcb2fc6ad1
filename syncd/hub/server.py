"""Running a hub: the lock on its data, the socket, the address file, the end.

`serve` is called by `syncd hub` and by `python -m syncd.hub`, in the main thread of a process of
its own. Two hubs on one data folder never run; whoever finds the address file finds a hub that
listens, or one that just died.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import uvicorn
from sqlalchemy.exc import DBAPIError

from syncd.errors import ConfigError, StateError
from syncd.hub import app
from syncd.hub.core import Hub, HubSettings
from syncd.hub.gate import Hosts
from syncd.hub.heads import HeadLimited
from syncd.hub.lock import closing, locked
from syncd.hub.store import FullError, full_disk_named

__all__ = ["HubSettings", "serve"]
log = logging.getLogger(__name__)
STOP_SECONDS = 10
LOOK_TICKS = 50
"""How many turns of uvicorn's loop, at 0.1 s, lie between two looks at the store."""


class Supervisor(Protocol):
    """Who is told how the hub is; it decides itself how often that is of use."""

    def ready(self) -> None: ...

    def alive(self) -> None: ...

    def stopping(self) -> None: ...

    def status(self, text: str) -> None: ...


def serve(settings: HubSettings, supervisor: Supervisor | None = None) -> None:
    """Run a hub until it is told to stop or has been idle, with this process's umask narrowed.

    Raises ConfigError, BusyError, StateError."""
    check(settings)
    with narrowed(), ExitStack() as held:
        with opening(settings.data):
            held.enter_context(locked(settings.data))
            listener = held.enter_context(bound(settings))
            hub = Hub(settings)
        try:
            _Server(hub, listener, supervisor).run(sockets=[listener])
        finally:
            hub.close()


@contextmanager
def opening(data: Path) -> Iterator[None]:
    """Raise StateError, one sentence for people, for what the disk or SQLite has to say."""
    try:
        with full_disk_named():
            yield
    except FullError as error:
        raise StateError(f"the disk of {data} is full: make room") from error
    except (OSError, sqlite3.Error, DBAPIError) as error:
        cause = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
        raise StateError(f"the hub's data cannot be opened: {cause}", path=str(data)) from error


@contextmanager
def narrowed() -> Iterator[None]:
    """SQLite's files and the thumbnails are nobody else's, wherever the data lies."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def check(settings: HubSettings) -> None:
    """Raise ConfigError for what would not be safe or cannot work."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise ConfigError("TLS needs both a certificate and a key")
    for file in (settings.tls_cert, settings.tls_key):
        if file is not None and not os.access(file, os.R_OK):
            raise ConfigError("the TLS file cannot be read", path=str(file))
    if not (_is_own(settings.host) or settings.tls_cert or settings.insecure):
        raise ConfigError(
            f"a hub on {settings.host} can be reached from other machines",
            hint="give it --tls-cert and --tls-key, or say --insecure",
        )


@contextmanager
def bound(settings: HubSettings) -> Iterator[socket.socket]:
    """The listening socket: at the port asked for, else the last one used, else a free one."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind(listener, settings)
        _keep_alive(listener)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.listen(128)
        yield listener
    finally:
        listener.close()


def _keep_alive(listener: socket.socket) -> None:
    """Let go of peers that are gone, after a minute: connections take this from their listener."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (
        (socket.TCP_KEEPIDLE, 30),
        (socket.TCP_KEEPINTVL, 10),
        (socket.TCP_KEEPCNT, 3),
    ):
        listener.setsockopt(socket.IPPROTO_TCP, option, seconds)


def _bind(listener: socket.socket, settings: HubSettings) -> None:
    if settings.port:
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise ConfigError(f"cannot listen on {where}: {error.strerror}") from error
        return
    file = settings.data / "port"
    with suppress(OSError, ValueError, OverflowError):
        listener.bind((settings.host, int(file.read_text())))
        return
    try:
        listener.bind((settings.host, 0))
    except OSError as error:
        raise ConfigError(f"cannot listen on {settings.host}: {error.strerror}") from error
    file.write_text(f"{listener.getsockname()[1]}\n")


def hosts(settings: HubSettings, port: int) -> Hosts:
    """The names this hub answers to."""
    outside = not _is_own(settings.host)
    names = {name.lower() for name in settings.names}
    if outside:
        names |= {settings.host.lower(), socket.gethostname().lower()}
    return Hosts(port=port, names=frozenset(names), any_address=outside)


def _is_own(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, which may stand for any address
        return False


class _Server(uvicorn.Server):
    """uvicorn, told when it listens, ending with 0 at a signal or when nobody comes."""

    def __init__(self, hub: Hub, listener: socket.socket, supervisor: Supervisor | None) -> None:
        settings, port = hub.settings, int(listener.getsockname()[1])
        self.hub = hub
        self._supervisor = supervisor
        self._look: asyncio.Task[None] | None = None
        self._used = 0.0
        self.gate = app.create(hub, hosts(settings, port))
        super().__init__(
            uvicorn.Config(
                self.gate,
                loop="uvloop",
                http=HeadLimited,
                ws="none",
                interface="asgi3",
                proxy_headers=False,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=STOP_SECONDS,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
        )
        scheme = "https" if settings.tls_cert else "http"
        host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the hub and are not raised again: that it was told to stop is no error."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError, RuntimeError):  # not in the main thread
                loop.add_signal_handler(number, self._stop)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()  # What it took to start is never garbage: 100,000 objects less to look through.
        self.hub.bell.attach()
        self.gate.last = time.monotonic()  # nobody could come before: a slow start is no idle time
        self._announce()
        token = self.hub.settings.token_file or self.hub.settings.data / "token"
        if self._supervisor:
            self._supervisor.ready()
            self._supervisor.status(f"listens on {self.url}")
        log.info("the hub listens on %s, its token is in %s", self.url, token)

    async def on_tick(self, counter: int) -> bool:
        idle, now = self.hub.settings.idle_s, time.monotonic()
        if self._supervisor and counter % LOOK_TICKS == 0 and (not self._look or self._look.done()):
            self._look = asyncio.create_task(self._feed(self._supervisor))
        if counter % LOOK_TICKS == 0 and not self._announced():
            self._announce()
        # A question whose asker has gone may wait on for a while: it keeps nobody.
        if self.gate.inside and self.server_state.connections:
            self._used = now
        if idle is not None and now - max(self._used, self.gate.last) >= idle:
            log.info("nobody asked for %.0f s: the hub stops", idle)
            self._stop()
        return await super().on_tick(counter)

    async def _feed(self, supervisor: Supervisor) -> None:
        """Only a hub whose loop turns and whose store answers is alive."""
        try:
            await self.hub.read(lambda: self.hub.store.catalogue.datasets())
            supervisor.alive()
        except Exception as error:
            log.error("the store does not answer reason=%s", error)

    def _stop(self) -> None:
        self.should_exit = True
        closing(self.hub.settings.data)  # whoever comes now waits for the end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._retract()
        if self._supervisor:
            self._supervisor.stopping()
        self.gate.draining = True
        self.hub.bell.close()
        await super().shutdown(sockets)

    def _announce(self) -> None:
        file = self.hub.settings.address_file
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as out:
            json.dump(self._address(), out)
        fresh.replace(file)

    def _announced(self) -> bool:
        """Whether commands can find a hub by the address file: this one, or another that lives."""
        file = self.hub.settings.address_file
        if file is None:
            return True
        try:
            return Path(f"/proc/{int(json.loads(file.read_text())['pid'])}").exists()
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _retract(self) -> None:
        file = self.hub.settings.address_file
        if file is not None:
            with suppress(OSError, ValueError):
                if json.loads(file.read_text()) == self._address():
                    file.unlink()

    def _address(self) -> dict[str, object]:
        return {
            "url": self.url,
            "token": self.hub.token,
            "pid": os.getpid(),
            "data": str(self.hub.settings.data.absolute()),
        } | ({"ca": str(cert.absolute())} if (cert := self.hub.settings.tls_cert) else {})
