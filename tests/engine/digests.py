"""What content is called."""

from __future__ import annotations

from hashlib import sha256


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()
