"""The power cut: a hub killed at any moment has everything it said it stored, and nothing torn."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import Any

import httpx
import pytest

from tests.e2e.program import eventually
from tests.hub.asking import Asker, asking, digest, packed, put
from tests.running import RunningHub, start

KILLS = 3
ENOUGH = 10
"""So much is confirmed in each round: what is being deleted may still go, a third at most."""


class Sender(threading.Thread):
    """Sends batches of all kinds until the line breaks; remembers what was confirmed."""

    def __init__(self, hub: RunningHub, name: str) -> None:
        super().__init__(name=name)
        self.pets = Asker(hub)
        self.confirmed: dict[str, bytes | None] = {}
        self.open: set[str] = set()
        self.random = random.Random(name)

    def run(self) -> None:
        number = 0
        try:
            while True:
                self.step(number)
                number += 1
        except httpx.HTTPError:
            self.pets.http.close()

    def step(self, number: int) -> None:
        bodies = {
            f"{self.name}/{number}/{n}": os.urandom(self.random.choice([10, 3_000, 50_000]))
            for n in range(self.random.choice([1, 5, 30]))
        }
        self.open = set(bodies)
        results = self.pets.batch(*(put(key, body) for key, body in bodies.items()))
        assert {result["status"] for result in results} == {"stored"}
        self.confirmed |= bodies
        items = [result["item"] for result in results]
        gone = self.random.sample(items, len(items) // 3)
        self.open = {f"{item['folder'][1:]}/{item['name']}" for item in gone}
        self.pets.batch(*({"op": "delete", "id": item["id"]} for item in gone))
        self.confirmed |= dict.fromkeys(self.open)
        self.open = set()
        if number % 5 == 4:
            self.pets.post("trash/empty")  # reclaims, too

    def held(self) -> int:
        """How much is confirmed to be there; asked from another thread."""
        return sum(body is not None for body in list(self.confirmed.values()))


@pytest.mark.slow
def test_everything_confirmed_is_there_after_kill_9(tmp_path):
    hub = start(tmp_path, "--min-free", "0")
    expected: dict[str, bytes | None] = {}
    unsure: set[str] = set()
    for round_ in range(KILLS):
        senders = [Sender(hub, f"{round_}-{n}") for n in range(2)]
        for sender in senders:
            sender.start()
        await_enough(senders)
        time.sleep(random.uniform(0.1, 0.6))
        hub.kill()
        for sender in senders:
            sender.join()
            expected |= sender.confirmed
            unsure |= sender.open
        hub = start(tmp_path, "--min-free", "0")
        verify(hub, expected, unsure)
    assert sum(body is not None for body in expected.values()) > 20
    hub.stop()


def await_enough(senders):
    eventually(lambda: sum(sender.held() for sender in senders) > ENOUGH, 30)


def verify(hub, expected, unsure):
    with asking(hub) as pets:
        there: dict[str, dict[str, Any]] = {}
        after = None
        while True:
            page = pets.get("items", limit=5000, **({"after": after} if after else {}))
            there |= {f"{i['folder'][1:]}/{i['name']}": i for i in page["items"]}
            after = page["next"]
            if after is None:
                break
        for key, body in expected.items():
            if body is None:
                assert key not in there or key in unsure, f"{key} was deleted"
            elif key not in unsure:
                assert there[key]["sha256"] == digest(body), f"{key} was stored"
        for item in there.values():
            assert digest(pets.content(item).content) == item["sha256"], "what is listed is whole"
        row = pets.http.get("/v1/datasets/pets").json()
        assert row["items"] == len(there)
        assert row["bytes"] == sum(item["size"] for item in there.values())


def test_an_answer_lost_is_an_answer_repeated(start_hub):
    """Killed after the commit and before the answer: sending the same again comes to `same`."""
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        frame = packed([put("a", b"cat"), put("b", b"dog")])
        first = pets.http.post(f"{pets.base}/batch", content=frame).json()
    hub.kill()
    again = hub.again("--min-free", "0")
    try:
        with asking(again) as pets:
            second = pets.http.post(f"{pets.base}/batch", content=frame).json()
    finally:
        again.stop()
    assert [r["status"] for r in second["results"]] == ["same", "same"]
    assert [r["item"] for r in second["results"]] == [r["item"] for r in first["results"]]
