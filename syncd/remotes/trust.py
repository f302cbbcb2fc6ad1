"""Which TLS certificates are believed where those of the machine's authorities are not meant.

Said by whoever names a remote (`daemon/remote`, `daemon/embedded`), asked by `Wire`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from syncd.errors import ConfigError

END = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """The certificates of a PEM file and what they signed, for the hosts they name."""

    file: Path

    def teach(self, context: ssl.SSLContext) -> None:
        """Have connections believe them. Raises ConfigError where the file holds no certificate."""
        _believe(context, _read(self.file), self.file)


@dataclass(frozen=True, slots=True)
class Exactly:
    """The first certificate of a PEM file, the one a server shows, and no other.

    Whatever names it has: a hub is found on its own machine by a number that is not among them."""

    file: Path

    def teach(self, context: ssl.SSLContext) -> None:
        """Have connections believe it. Raises ConfigError where the file holds no certificate."""
        first, end, _ = _read(self.file).partition(END)
        _believe(context, first + end, self.file)
        context.check_hostname = False


Trust = SignedBy | Exactly


def _believe(context: ssl.SSLContext, certificates: str, file: Path) -> None:
    try:
        context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError("holds no certificate in PEM", path=str(file)) from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"the certificate cannot be read: {why}", path=str(file)) from error
