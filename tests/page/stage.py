"""What the page is tested on: a real hub process, pictures made on the spot, patience."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from PIL import Image, ImageDraw

from syncd import frame
from tests import isolation

PATIENCE = 20.0
"""Seconds after which something that should happen did not; the machine may be busy."""


class RunningHub:
    """A hub process of its own, and the calls of its protocol that tests need."""

    def __init__(self, url: str, token: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            limits=httpx.Limits(max_keepalive_connections=0),  # a test leaves nothing open
        )
        self._datasets = 0

    def dataset(self, files: Mapping[str, bytes] | None = None, name: str | None = None) -> str:
        """Make a dataset with these files by key, return its name."""
        self._datasets += 1
        name = name or f"set {self._datasets}"
        self.http.put(f"/v1/datasets/{quote(name, safe='')}").raise_for_status()
        self.put(name, files or {})
        return name

    def id(self, dataset: str) -> str:
        listed = self.http.get("/v1/datasets").json()["datasets"]
        return next(str(one["id"]) for one in listed if one["name"] == dataset)

    def put(self, dataset: str, files: Mapping[str, bytes]) -> None:
        """Store all files in batches; a body that repeats in one travels once."""
        id, some = self.id(dataset), list(files.items())
        for start in range(0, len(some), 2000):
            body = _batch(some[start : start + 2000])
            answer = self.http.post(f"/v1/datasets/{id}/batch", content=body)
            results = answer.raise_for_status().json()["results"]
            assert {result["status"] for result in results} == {"stored"}

    def items(self, dataset: str, state: str = "present") -> list[dict[str, Any]]:
        query = {"limit": "10000", "state": state}
        found = self.http.get(f"/v1/datasets/{self.id(dataset)}/items", params=query)
        return list(found.raise_for_status().json()["items"])

    def link(self) -> str:
        """The address that lets a browser in, once."""
        return self.url + str(self.http.post("/v1/link").json()["path"])


def _batch(files: list[tuple[str, bytes]]) -> bytes:
    digests: dict[bytes, str] = {}
    ops: list[dict[str, Any]] = []
    for key, data in files:
        op = {"op": "put", "key": key, "size": len(data), "modified": 1_700_000_000 * 10**9}
        if data not in digests:
            digests[data] = sha256(data).hexdigest()
            op["body"] = len(data)
        ops.append(op | {"digest": digests[data]})
    return b"".join(frame.pack(ops, digests))


@contextlib.contextmanager
def running_hub(folder: Path) -> Iterator[RunningHub]:
    """A hub on `folder`, killed at the end."""
    address = folder / "address.json"
    command = [sys.executable, "-m", "syncd.hub", "--data", str(folder / "hub"), "--min-free", "0"]
    (folder / "home").mkdir(parents=True)
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(
            [*command, "--address-file", str(address)],
            env=isolation.environment(folder / "home"),
            stderr=log,
        )
    try:
        wait_until(lambda: address.exists() or child.poll() is not None)
        assert child.poll() is None, (folder / "log").read_text()
        told = json.loads(address.read_text())
        hub = RunningHub(told["url"], told["token"], child.pid)
        with hub.http:
            yield hub
    finally:
        child.terminate()
        child.wait(PATIENCE)


def wait_until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return as soon as something holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


def picture(number: int, size: tuple[int, int] = (96, 72), kind: str = "PNG") -> bytes:
    """A picture unlike those of other numbers."""
    ground = (40 + number * 37 % 180, 60 + number * 61 % 150, 90 + number * 23 % 140)
    made = Image.new("RGB", size, ground)
    ImageDraw.Draw(made).text((8, 8), str(number), fill="white")
    out = io.BytesIO()
    made.save(out, kind)
    return out.getvalue()
