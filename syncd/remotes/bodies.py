"""Long answers of a remote, by the standard library's client: `Wire` asks here for bytes.

They go from the socket into the piece that is handed on, with a few steps of Python for each;
httpx takes 64 KiB at a time through a parser in Python, which cost a mount half of its time.
A connection is kept when its answer was read to the end. Raises OSError and HTTPException.
"""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

CONNECT_SECONDS = 5.0
FAULTS = (OSError, HTTPException)
"""What a connection raises."""


class Bodies:
    """Connections to one address; safe to share between threads."""

    def __init__(self, url: str, *, trust: ssl.SSLContext, proxies: bool) -> None:
        """`trust` is for https; `proxies` are those of the environment."""
        self._trust = trust
        self._proxies = proxies
        self._idle: list[HTTPConnection] = []
        self.relocate(url)

    def relocate(self, url: str) -> None:
        """The requests to come go to this address."""
        self._at = urlsplit(url)
        self._proxy = _proxy(self._at) if self._proxies else None
        self.close()

    def close(self) -> None:
        idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    @contextmanager
    def answer(
        self, seconds: float, method: str, path: str, headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Iterator[HTTPResponse]:  # fmt: skip
        """The answer to a request that may be sent twice, its body still to come; `seconds` is how
        long the remote may send nothing."""
        idle = self._idle
        link, answer = self._asked(seconds, method, path, headers, body)
        kept = False
        try:
            yield answer
            whole = answer.isclosed() and not answer.will_close
            kept = whole and idle is self._idle
        finally:
            answer.close()
            if kept:
                idle.append(link)
            else:
                link.close()

    def _asked(
        self, seconds: float, method: str, path: str, headers: Mapping[str, str],
        body: bytes | None,
    ) -> tuple[HTTPConnection, HTTPResponse]:  # fmt: skip
        while True:
            link, fresh = self._link()
            try:
                link.sock.settimeout(seconds)
                link.request(method, self._target(path), body, dict(headers))
                return link, link.getresponse()
            except BaseException as error:
                link.close()
                if fresh or not isinstance(error, (ConnectionError, HTTPException)):
                    raise  # else the remote hung up on it since its last answer

    def _link(self) -> tuple[HTTPConnection, bool]:
        """A connection, and whether it is a fresh one."""
        try:
            return self._idle.pop(), False
        except IndexError:
            return self._connected(), True

    def _connected(self) -> HTTPConnection:
        to = self._proxy or self._at
        host = str(to.hostname)
        if self._at.scheme == "http":
            link = HTTPConnection(host, to.port, timeout=CONNECT_SECONDS)
        else:
            link = HTTPSConnection(host, to.port, timeout=CONNECT_SECONDS, context=self._trust)
            if self._proxy:
                at = str(self._at.hostname), self._at.port or 443
                link.set_tunnel(*at, headers=_credentials(self._proxy))
        link.connect()
        return link

    def _target(self, path: str) -> str:
        if self._proxy and self._at.scheme == "http":
            return f"{self._at.geturl()}{path}"
        return f"{self._at.path}{path}"


def _proxy(at: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for an address."""
    named = getproxies()
    url = named.get(at.scheme) or named.get("all")
    return urlsplit(url) if url and not proxy_bypass(str(at.hostname)) else None


def _credentials(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
