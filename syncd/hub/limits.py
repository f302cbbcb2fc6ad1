"""How long a hub keeps what nobody wants any more, and how much it keeps for convenience.

Nothing is imported here: commands and the daemon tell these numbers without loading a hub.
"""

from __future__ import annotations

RETENTION_DAYS = 30
"""How long trash and replaced versions are kept where nothing else is said."""
UNUSED_DAYS = 7
"""How long bytes are kept that were sent, but never put under a key, and the parts of an upload
that nobody goes on with."""
THUMBNAIL_BYTES = 512 * 1024 * 1024
