"""What a configuration says of mirrors, as the options of one: for calls, daemons and Python."""

from __future__ import annotations

from syncd.config.parts import MirrorConfig
from syncd.config.quantity import hours, rate
from syncd.engine.options import Options
from syncd.local.kind import EXTENSIONS
from syncd.model import Layout, OnConflict, OnDelete
from syncd.state.history import DAYS


def options_of(said: MirrorConfig, prefix: str = "") -> Options:
    """Mirror options from the words of a configuration, which were found to be known ones."""
    taken = {extension(one) for one in said.extensions or EXTENSIONS}
    return Options(
        layout=Layout(said.layout or Layout.FIRST_LEVEL),
        prefix=prefix,
        on_delete=OnDelete(said.on_delete or OnDelete.TRASH),
        on_conflict=OnConflict(said.on_conflict or OnConflict.KEEP),
        source=said.source or "",
        extensions=frozenset() if "*" in taken else frozenset(taken),
        ignore=said.ignore,
        rate=rate(said.bandwidth) if said.bandwidth else None,
        hours=hours(said.active_hours or ""),
        history_days=DAYS if said.history_days is None else said.history_days,
    )


def extension(text: str) -> str:
    """A suffix as it is compared: lower case, with its dot; `*` stands for all."""
    if text == "*":
        return text
    return (text if text.startswith(".") else f".{text}").lower()
