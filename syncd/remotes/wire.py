"""HTTP for every remote: one client, bounded waits, and answers turned into errors by what to do.

The only import of httpx. Redirects are not followed, so a token never travels to another host;
proxies of the environment are not asked for addresses of this machine.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from math import isfinite
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore
import httpx

from syncd.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    GarbledError,
    MissingError,
    NoRoomError,
    RejectedError,
    RemoteError,
    TransientError,
)
from syncd.remotes.pace import Pace
from syncd.remotes.trust import Trust
from syncd.value import value

PIECE = 256 * 1024
"""A socket takes about so much at once, and what it left of a longer piece would be copied."""
ANSWER_SECONDS = 30.0
"""A remote that sends nothing for so long after a request is stuck; where it has something to do
first, callers give it longer."""
BODY_SECONDS = 15.0
"""A remote that sends nothing of a body for so long is stuck."""
_RETRY = "Retry-After"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Of an answer's body httpx takes 64 KiB at a time, with 35 µs of Python for each.
httpcore.HTTP11Connection.READ_NUM_BYTES = PIECE


@value
class Body:
    """Bytes to send: their type, how many there are, and the pieces they come in."""

    type: str
    length: int
    pieces: Iterable[bytes]

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": self.type, "Content-Length": str(self.length)}

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if len(piece) <= 2 * PIECE:
                yield piece
            else:
                yield from (piece[at : at + PIECE] for at in range(0, len(piece), PIECE))


class Wire:
    """A base address with credentials; safe to share between threads."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = ANSWER_SECONDS,
        trust: Trust | None = None,
    ) -> None:
        """`trust` says which certificates are believed instead of the machine's."""
        parts = _parts(url)
        proxies = parts.hostname not in _LOOPBACK
        # Reading the machine's certificates takes 0.1 s, and plain HTTP has no use for them.
        theirs = trust is None and parts.scheme == "https"
        self._believed = httpx.create_ssl_context() if theirs else _nobody()
        if trust:
            trust.teach(self._believed)
        self._timeout = timeout
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self.url,
            headers=_headers(token),
            timeout=httpx.Timeout(timeout, connect=5.0, pool=None),
            trust_env=proxies,
            verify=self._believed,
            # As many as ask: each dataset that is followed has one in waiting.
            limits=httpx.Limits(max_connections=None, keepalive_expiry=30.0),
        )

    def relocate(self, url: str, token: str, *, trust: Trust | None = None) -> None:
        """The remote listens elsewhere now, or with another certificate: the requests to come go
        there."""
        if trust:
            trust.teach(self._believed)
        self.url = url.rstrip("/")
        self._client.base_url = httpx.URL(self.url)
        self._client.headers.update(_headers(token))

    def close(self) -> None:
        self._client.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content: Body | None = None,
        wait: float = 0.0,
        pace: Pace | None = None,
    ) -> dict[str, Any]:
        """Send one request and return its JSON object; `wait` is how long the remote may sit on
        it before it answers, `pace` how fast the content may go. Raises RemoteError and nothing
        else."""
        pieces = iter(content) if content else None
        if pieces and pace:
            pieces = pace.pieces(pieces)
        with _translated(self.url):
            answer = self._client.request(
                method,
                path,
                params=query,
                json=body,
                # An iterator, so that nothing holds the bytes once they are sent.
                content=pieces,
                headers=content.headers if content else {},
                timeout=httpx.Timeout(self._timeout + wait, connect=5.0, pool=None),
            )
        if answer.is_success:
            return _object(self.url, answer.content)
        raise self._refusal(answer, answer.content)

    def stream(
        self,
        path: str,
        *,
        offset: int = 0,
        length: int | None = None,
        query: dict[str, Any] | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes of a resource, or the asked range of it."""
        headers = {}
        if offset or length is not None:
            last = "" if length is None else str(offset + length - 1)
            headers["Range"] = f"bytes={offset}-{last}"
        with self._answer("GET", path, params=query, headers=headers) as answer:
            if "Range" in headers and answer.status_code != 206:
                raise GarbledError("the remote answered a range with something else")
            with _torn(self.url):
                yield from answer.iter_raw()

    @contextmanager
    def ask(self, path: str, body: Any) -> Iterator[Callable[[int], bytes]]:
        """Post JSON; what the block is given reads exactly so many bytes of the answer."""
        with self._answer("POST", path, json=body, headers={}) as answer, _torn(self.url):
            chunks = answer.iter_raw()
            yield Arriving(chunks).read
            if next(chunks, None):  # asked for its end, too: only then the connection is kept
                raise GarbledError("the remote sent more than it announced")

    @contextmanager
    def _answer(
        self, method: str, path: str, *, headers: dict[str, str], **said: Any
    ) -> Iterator[httpx.Response]:
        """An answer that is read as it comes."""
        timeout = httpx.Timeout(min(self._timeout, BODY_SECONDS), connect=5.0, pool=None)
        headers = {"Accept-Encoding": "identity", **headers}
        with _translated(self.url):
            request = self._client.build_request(
                method, path, headers=headers, timeout=timeout, **said
            )
            with closing(self._client.send(request, stream=True)) as answer:
                if not answer.is_success:
                    raise self._refusal(answer, answer.read())
                yield answer

    def _refusal(self, answer: httpx.Response, content: bytes) -> RemoteError:
        return refusal(self.url, answer.status_code, answer.headers.get(_RETRY), content)


class Arriving:
    """Bytes of an answer in the lengths they are asked for."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self._at = 0

    def read(self, length: int) -> bytes:
        """The next so many bytes; raises TransientError where there are fewer."""
        end = self._at + length
        if end > len(self._held):
            self._more(length)
            end = length
        found = self._held[self._at : end]
        self._at = end
        return found

    def _more(self, length: int) -> None:
        parts = [self._held[self._at :]]
        have = len(parts[0])
        while have < length:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise TransientError("the remote broke off its answer", answered=True)
            parts.append(chunk)
            have += len(chunk)
        self._held, self._at = b"".join(parts), 0


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _nobody() -> ssl.SSLContext:
    """Certificates are looked at, and none is believed so far."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _parts(url: str) -> SplitResult:
    """The parts of an address that can be asked. Raises ConfigError for any other."""
    if "@" in url.partition("://")[2].partition("/")[0]:  # it would be shown and logged
        raise ConfigError(
            "an address holds no name or password", hint="say the token by file or variable"
        )
    with suppress(ValueError):  # as an IPv6 address that does not end, or port 99999
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise ConfigError(f"{url!r} is not an http or https address")


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise _silent(url, error) from error


@contextmanager
def _torn(url: str) -> Iterator[None]:
    """A body that breaks off: the remote is there, and another body may fare better."""
    try:
        yield
    except httpx.TimeoutException:
        raise
    except httpx.TransportError as error:
        raise TransientError(f"{url} broke off its answer: {error}", answered=True) from error


def _silent(url: str, error: Exception) -> TransientError:
    detail = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in detail:
        detail += '; one of your own is believed by ca = "FILE" in its [remotes.NAME]'
    late = isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout)
    return TransientError(f"{url} does not answer: {detail}", late=late)


def refusal(url: str, status: int, retry_after: str | None, content: bytes) -> RemoteError:
    """The error that an unsuccessful answer stands for."""
    said = _sentence(content)
    if said is None and status in (404, 405):
        # A hub says what is missing. Others say this of everything, which proves nothing.
        return TransientError(f"what answers at {url} is no syncd hub (HTTP status {status})")
    text = said or f"{url} answered with HTTP status {status}"
    if status in (401, 403):
        return DeniedError(text, hint="check the token")
    if status == 404:
        return MissingError(text)
    if status == 409:
        return ConflictError(text)
    if status == 507:
        return NoRoomError(text)
    if status in (408, 429) or status >= 500:
        return TransientError(text, retry_after=_seconds(retry_after), answered=status == 500)
    if 300 <= status < 400:
        return GarbledError(f"{url} sent us elsewhere (HTTP status {status})")
    return RejectedError(text)


def _seconds(value: str | None) -> float | None:
    try:
        seconds = float(value) if value else None
    except ValueError:
        return None
    return max(0.0, seconds) if seconds is not None and isfinite(seconds) else None


def _sentence(content: bytes) -> str | None:
    try:
        text = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return text if isinstance(text, str) else None


def _object(url: str, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        head = content[:80].decode(errors="replace")
        raise GarbledError(f"the answer of {url} is no JSON: {head!r}") from error
    if not isinstance(value, dict):
        raise GarbledError(f"the answer of {url} is no JSON object")
    return value
