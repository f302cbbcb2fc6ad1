"""Which TLS certificates are believed where those of the machine's authorities are not meant.

Made by whoever names a remote (`daemon/remote`, `daemon/embedded`), used by `Wire`.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from syncd.errors import ConfigError

END = "-----END CERTIFICATE-----\n"


def signed_by(file: Path) -> ssl.SSLContext:
    """Believe the certificates of a PEM file and what they signed, for the hosts they name.

    Raises ConfigError where it holds none."""
    return _believing(_read(file), file)


def exactly(file: Path) -> ssl.SSLContext:
    """Believe the first certificate of a PEM file, the one a server shows, and no other.

    Whatever names it has: a hub is found on its own machine by a number that is not among them."""
    first, end, _ = _read(file).partition(END)
    trust = _believing(first + end, file)
    trust.check_hostname = False
    return trust


def _believing(certificates: str, file: Path) -> ssl.SSLContext:
    try:
        trust = ssl.create_default_context(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError("holds no certificate in PEM", path=str(file)) from error
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return trust


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"the certificate cannot be read: {why}", path=str(file)) from error
