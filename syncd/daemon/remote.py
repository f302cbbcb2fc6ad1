"""Which remote is meant: from the command line, the environment, the configuration."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from syncd.config.load import load
from syncd.config.parts import Config, RemoteConfig
from syncd.config.places import Ambient, Places, ambient
from syncd.daemon.embedded import running, told
from syncd.errors import ConfigError, UsageError
from syncd.remotes.trust import SignedBy, Trust
from syncd.value import value

EMBEDDED = "hub"


@value
class Found:
    """A remote; `url` None is the embedded hub."""

    name: str
    url: str | None
    token: str = field(repr=False)
    trust: Trust | None = None


def resolve(
    named: str | None, *, token: str | None, token_file: Path | None, where: Places
) -> Found:
    """Find the remote and its token; what is said nearer to the call wins.

    Raises ConfigError, and UsageError for a token that is not that of the embedded hub."""
    config, around = load(where), ambient()
    name = named or around.remote or config.remote or EMBEDDED
    url, entry = address(name, config), config.remotes.get(name)
    if url == EMBEDDED:
        given = token or (_read(token_file) if token_file else "")
        if given and given != _own_token(where):
            hint = "name it by --remote; the hub that is started here has its own"
            raise UsageError("there is a token, but no remote that it is for", hint=hint)
        return Found(name=EMBEDDED, url=None, token="")
    # However a remote is spelled, a mirror of it is the same mirror.
    name = name if entry else _named(url, config) or url
    alike = config.remotes.get(name)
    found = token or _token(url, token_file, entry, around, where)
    # Of an entry that was not named, the token comes last.
    if not found and alike and alike.token and not alike.token.elsewhere:
        found = alike.token.reveal()
    return Found(name=name, url=url, token=found, trust=_trust(url, alike, where))


def address(name: str, config: Config, *, known: bool = False) -> str:
    """The URL of a remote, by its name or itself; the embedded hub has its name alone.

    Raises ConfigError for a name that is no remote's, unless one of its mirrors is `known`."""
    entry = config.remotes.get(name)
    if name == EMBEDDED:
        return EMBEDDED
    url = (entry.url if entry else name).rstrip("/")
    if "://" not in url and not known:
        if ":" in name or "/" in name:
            raise ConfigError(f"{name!r} is no address: it needs http:// or https:// and a host")
        names = ", ".join(sorted([EMBEDDED, *config.remotes]))
        raise ConfigError(
            f"there is no remote {name!r} (known: {names}): [remotes.{name}] would name it"
        )
    return url


def _named(url: str, config: Config) -> str | None:
    """The name that the configuration has for an address."""
    return next((n for n, known in config.remotes.items() if known.url.rstrip("/") == url), None)


def _trust(url: str, entry: RemoteConfig | None, where: Places) -> Trust | None:
    if not url.startswith("https:"):
        return None
    if entry and entry.ca:
        return SignedBy(entry.ca)
    own = told(where)
    return own.trust if own and own.url == url else None


def _token(
    url: str, file: Path | None, known: RemoteConfig | None, around: Ambient, where: Places
) -> str:
    if file:
        return _read(file)
    said = bool(around.token or around.token_file)
    # A credential of a unit is out of reach for a person, who may say the token otherwise.
    if known and known.token and not (known.token.elsewhere and said):
        return known.token.reveal()
    if around.token:
        return around.token
    if around.token_file:
        return _read(around.token_file)
    own = running(where)
    return own.token if own and own.url == url.rstrip("/") else ""


def _own_token(where: Places) -> str:
    """That of the hub which this user's commands find, or start."""
    own, kept = running(where), where.hub_data / "token"
    return own.token if own else _read(kept) if kept.exists() else ""


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigError(f"the token cannot be read: {error.strerror}", path=str(file)) from error
    except UnicodeDecodeError as error:
        raise ConfigError("this file holds no token", path=str(file)) from error
