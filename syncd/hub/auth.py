"""Who may ask: the token, the one-time link and the page's cookie.

One secret of 256 bits, made at the first start, opens everything. The page gets in by a link that
works once within a minute and leaves a cookie; the cookie is signed with the token and not kept
anywhere, so it outlives a restart of the hub and dies with the token. Comparisons take the same
time wherever they fail. No token, code or cookie is ever logged.
"""

from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from syncd.clock import Clock
from syncd.disk import sync
from syncd.errors import ConfigError

LINK_SECONDS = 60
COOKIE_SECONDS = 12 * 3600
MAX_LINKS = 100
SHORTEST = 32


def token(file: Path) -> str:
    """Read the token, or make one: mode 0600 whatever the umask, and whole or not at all. Raises
    ConfigError for one that can be guessed."""
    if file.exists() and file.stat().st_size:
        return given(file)
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)  # of a start on a full disk, which may have left an empty one
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as out:
        os.fchmod(fd, 0o600)
        made = secrets.token_urlsafe(32)
        out.write(made)
        out.flush()
        os.fsync(fd)
    draft.rename(file)
    sync(file.parent)
    return made


def given(file: Path) -> str:
    """The token that an administrator made. Raises ConfigError for one that can be guessed."""
    try:
        found = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no plain text"
        raise ConfigError(f"the token cannot be read: {why}", path=str(file)) from error
    if len(found) < SHORTEST:
        raise ConfigError(
            f"the token has fewer than {SHORTEST} characters", path=str(file),
            hint="openssl rand -hex 32 makes a good one",
        )  # fmt: skip
    return found


class Auth:
    """Judges what a request carries; lives in the event loop's thread."""

    def __init__(self, token: str, clock: Clock) -> None:
        self._token = token.encode()
        self._clock = clock
        self._links: dict[bytes, float] = {}

    def bearer(self, header: bytes) -> bool:
        """Whether an Authorization header carries the token."""
        kind, _, given = header.partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)

    def link(self) -> str:
        """A new code for the page's way in."""
        now = self._clock.monotonic()
        self._links = {k: v for k, v in self._links.items() if v > now}
        while len(self._links) >= MAX_LINKS:
            del self._links[next(iter(self._links))]
        code = secrets.token_urlsafe(32)
        self._links[sha256(code.encode()).digest()] = now + LINK_SECONDS
        return code

    def enter(self, code: str) -> str | None:
        """A cookie's value for a code that is good; it is used up by asking."""
        until = self._links.pop(sha256(code.encode(errors="replace")).digest(), None)
        if until is None or until <= self._clock.monotonic():
            return None
        expires = self._clock.now_ns() // 1_000_000_000 + COOKIE_SECONDS
        body = f"{expires}.{secrets.token_hex(16)}"
        return f"{body}.{self._sign(body)}"

    def cookie(self, value: str) -> bool:
        """Whether a cookie is one of ours and still good."""
        body, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        return int(body.partition(".")[0]) > self._clock.now_ns() // 1_000_000_000

    def _sign(self, body: str) -> str:
        return hmac.new(self._token, b"cookie:" + body.encode(), sha256).hexdigest()
