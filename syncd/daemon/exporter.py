"""Serves the daemon's numbers beside its control socket: on a loopback port, and in a file.

One thread does both. The numbers are asked for at every request, and every 15 s for the file, which
appears whole, as a node exporter's textfile collector wants it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from syncd.config.parts import MetricsConfig
from syncd.daemon.metrics import text
from syncd.daemon.orders import samples
from syncd.errors import ConfigError

log = logging.getLogger(__name__)

EVERY_S = 15.0
POLL_S = 0.2
LAST_S = 2.0
"""So long what it collects is waited for at the end."""
OURS = ("127.0.0.1", "localhost")


class Exporter:
    """Gives away what `collect` tells, until stopped."""

    def __init__(
        self, collect: Callable[[], str], *, port: int | None = None, textfile: Path | None = None
    ) -> None:
        """Raises ConfigError where the port is taken."""
        self._collect = collect
        self._textfile = textfile
        self._stop = threading.Event()
        self._failing = False
        """The file cannot be written, and that was told."""
        self._server: HTTPServer | None = None
        if port is not None:
            try:
                self._server = _server(port, collect)
            except OSError as error:
                raise ConfigError(f"metrics.port {port}: {error.strerror}") from error
        self._thread = threading.Thread(target=self._run, name="syncd-metrics", daemon=True)

    @property
    def port(self) -> int | None:
        """Where it listens."""
        return int(self._server.server_address[1]) if self._server else None

    def start(self) -> None:
        if self._server or self._textfile:
            self._thread.start()

    def stop(self) -> None:
        """End it; the file goes, so that nobody believes old numbers."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST_S)
        if self._server:
            self._server.server_close()
        if self._textfile:
            self._textfile.unlink(missing_ok=True)

    def _run(self) -> None:
        write_at = 0.0
        while not self._stop.is_set():
            if self._textfile and time.monotonic() >= write_at:
                write_at = time.monotonic() + EVERY_S
                self._write(self._textfile)
            if self._server:
                self._server.handle_request()
            else:
                self._stop.wait(POLL_S)

    def _write(self, file: Path) -> None:
        fresh = file.with_name(f".{file.name}.new")
        collected = self._collect()
        if self._stop.is_set():
            return
        try:
            fresh.write_text(collected)
            fresh.chmod(0o644)
            fresh.replace(file)
            if self._stop.is_set():  # `stop` may not have waited, and removed it too early
                file.unlink(missing_ok=True)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("numbers not written path=%s reason=%s", file, error.strerror)
            self._failing = True


def exporter(wanted: MetricsConfig) -> Exporter:
    """The exporter that a configuration asks for, which may be none that does anything."""
    textfile = Path(wanted.textfile).expanduser() if wanted.textfile else None
    return Exporter(lambda: text(samples()), port=wanted.port, textfile=textfile)


def _server(port: int, collect: Callable[[], str]) -> HTTPServer:
    class Answer(BaseHTTPRequestHandler):
        timeout = 2.0

        def do_GET(self) -> None:
            # A page of the web that gave its own name our address must not read this.
            name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            status = 200 if self.path == "/metrics" and name in OURS else 404
            body = collect().encode() if status == 200 else b"see /metrics\n"
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Who asks for numbers is no event."""

    server = HTTPServer(("127.0.0.1", port), Answer)
    server.timeout = POLL_S
    return server
