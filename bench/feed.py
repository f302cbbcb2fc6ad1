"""What a hub stored and when, as its change feed tells: the answer seen by a third party."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from bench.measure import BenchError
from bench.ours import DATASET, Hub


@dataclass(slots=True, kw_only=True)
class Feed:
    """Follows one dataset. `stored` and `seen` are nanoseconds since 1970, by name."""

    hub: Hub
    dataset: str
    link: http.client.HTTPConnection
    cursor: int = 0
    stored: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def follow(self, done: Callable[[], bool], limit: float) -> None:
        """Read the feed until `done` says so; raise BenchError after `limit` seconds."""
        end = time.monotonic() + limit
        while not done():
            if time.monotonic() > end:
                raise BenchError(f"after {limit} s the feed had told of {len(self.seen)} items")
            self._read(wait=2)

    def close(self) -> None:
        self.link.close()

    def _read(self, *, wait: int) -> None:
        query = urlencode({"after": self.cursor, "wait": wait, "limit": 1000})
        headers = {"Authorization": f"Bearer {self.hub.token}"}
        self.link.request("GET", f"/v1/datasets/{self.dataset}/changes?{query}", headers=headers)
        answer = self.link.getresponse()
        body = answer.read()
        now = time.time_ns()
        if answer.status != 200:
            raise BenchError(f"the feed answered {answer.status}: {body[:500]!r}")
        told: dict[str, Any] = json.loads(body)
        self.cursor = told["cursor"]
        for item in told["items"]:
            self.stored.setdefault(item["name"], item["stored_ns"])
            self.seen.setdefault(item["name"], now)


def follow(hub: Hub, limit: float = 30) -> Feed:
    """Start at the dataset's beginning, once it is there."""
    end = time.monotonic() + limit
    while "id" not in (found := hub.ask(f"/v1/datasets/{DATASET}")):
        if time.monotonic() > end:
            raise BenchError("no dataset appeared")
        time.sleep(0.05)
    link = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    return Feed(hub=hub, dataset=quote(str(found["id"])), link=link)
