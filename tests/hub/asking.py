"""How the hub's tests speak to a store or to a running hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from syncd import frame
from syncd.hub.store import Store
from tests.running import RunningHub

Op = dict[str, Any]


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def put(key: str, content: bytes, /, **more: Any) -> Op:
    """A put with its body; `body=None` among the fields leaves the body out."""
    op = {"op": "put", "key": key, "digest": digest(content), "size": len(content), "modified": 1}
    return op | {"body": len(content), "bytes": content} | more


def packed(ops: list[Op]) -> bytes:
    bodies = [op["bytes"] for op in ops if op.get("body") is not None]
    told = [{k: v for k, v in op.items() if k != "bytes"} for op in ops]
    return b"".join(frame.pack(told, bodies))


@contextmanager
def opened(data: Path, **options: Any) -> Iterator[Store]:
    store = Store(data, **{"min_free": 0, **options})
    try:
        yield store
    finally:
        store.close()


class Asker:
    """A hub over HTTP, with its dataset `pets`."""

    def __init__(self, hub: RunningHub, name: str = "pets") -> None:
        self.http = httpx.Client(base_url=hub.url, headers=hub.headers, timeout=30)
        self.id = self.http.put(f"/v1/datasets/{name}").json()["id"]
        self.base = f"/v1/datasets/{self.id}"

    def batch(self, *ops: Op, source: str = "me") -> list[dict[str, Any]]:
        answer = self.http.post(
            f"{self.base}/batch", params={"source": source}, content=packed(list(ops))
        )
        assert answer.status_code == 200, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    def put(self, key: str, content: bytes, /, **more: Any) -> dict[str, Any]:
        (result,) = self.batch(put(key, content, **more))
        return result

    def stored(self, key: str, content: bytes, /, **more: Any) -> dict[str, Any]:
        result = self.put(key, content, **more)
        assert result["status"] == "stored", result
        item: dict[str, Any] = result["item"]
        return item

    def content(self, item: dict[str, Any], **headers: str) -> httpx.Response:
        return self.http.get(f"/v1/items/{item['id']}/content", headers=headers)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = self.http.get(f"{self.base}/{path}", params=params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.http.post(f"{self.base}/{path}", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def asking(hub: RunningHub, name: str = "pets") -> Iterator[Asker]:
    asker = Asker(hub, name)
    try:
        yield asker
    finally:
        asker.http.close()
