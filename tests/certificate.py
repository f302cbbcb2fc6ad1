"""Real certificates for hubs that speak TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def self_signed(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for these names (`DNS:localhost`), signed by its own key; then the key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program to make a certificate with")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-days", "2", "-nodes", "-subj", "/CN=hub", "-addext", f"subjectAltName={','.join(names)}",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key
