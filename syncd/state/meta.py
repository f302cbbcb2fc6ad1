"""What the file is bound to: root, dataset, generation, cursor, and other words about itself."""

from __future__ import annotations

import json
import sqlite3
from typing import Any


class Meta:
    """Part of an open `State`; held in memory, for it is asked many times a turn."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql
        self.reload()

    def get(self, name: str, default: Any = None) -> Any:
        return self._words.get(name, default)

    def put(self, **values: Any) -> None:
        self._words.update(values)
        self._sql.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(name, json.dumps(value)) for name, value in values.items()],
        )

    def reload(self) -> None:
        """Read everything again."""
        found = self._sql.execute("SELECT * FROM meta")
        self._words: dict[str, Any] = {name: json.loads(value) for name, value in found}
