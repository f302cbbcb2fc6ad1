"""The guard before many removals, and the name a plan is approved by.

Called by the engine before it carries out removals, and by `status` and `approve`.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

FEW = 10


def exceeds(removals: int, receipts: int) -> bool:
    """Whether so many removals of so many stored files wait for `syncd approve`: more than half,
    and more than ten."""
    return removals > FEW and removals * 2 > receipts


def fingerprint(lines: Iterable[str]) -> str:
    """The name of a plan: 12 hex digits over its lines, in the order given."""
    digest = sha256()
    for line in lines:
        # A path may hold a line feed, so the length tells where a line ends.
        data = line.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:12]
