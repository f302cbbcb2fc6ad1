"""Write syncd/state/fresh.sql, a state file's tables as the migrations leave them: `make docs`.

A new state file is made from it, because importing sqlite-utils to run the migrations takes longer
than a small push; a test compares the two.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from syncd.state.schema import upgrade
from syncd.state.store import FRESH, VERSION

HEAD = (
    "-- Written by `make docs` from the migrations in schema.py; a new state file is made of it.\n"
)


def text() -> str:
    """The statements that make a file such as all migrations leave."""
    with closing(sqlite3.connect(":memory:")) as sql:
        upgrade(sql, VERSION)
        made = sql.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        done = sql.execute("SELECT migration_set, name FROM _sqlite_migrations ORDER BY rowid")
        rows = [f"({n}, '{of}', '{name}', datetime('now'))" for n, (of, name) in enumerate(done, 1)]
        statements = [
            *(found for (found,) in made),
            f"INSERT INTO _sqlite_migrations VALUES {', '.join(rows)}",  # noqa: S608
            f"PRAGMA user_version = {VERSION}",
        ]
    return HEAD + "".join(f"{statement};\n" for statement in statements)


if __name__ == "__main__":
    FRESH.write_text(text())
