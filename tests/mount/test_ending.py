"""The main thread of a mount: garbage, and datasets whose names others have."""

from __future__ import annotations

import gc
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from syncd.daemon import mount as module
from syncd.daemon.mount import FORMER, OLDEST, Mounting


def mounting(**parts: Any) -> Any:
    made = Mounting.__new__(Mounting)
    for name, part in parts.items():
        setattr(made, name, part)
    return made


def test_the_oldest_garbage_is_looked_for_as_well(monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    monkeypatch.setattr(module, "GARBAGE", -1)
    monkeypatch.setattr(gc, "collect", asked.append)
    left = iter(range(OLDEST + 1))
    session = SimpleNamespace(is_alive=lambda: next(left) < OLDEST)
    mounting(_news=SimpleQueue())._wait(session)
    assert asked == [1] * (OLDEST - 1) + [2]


def test_few_are_kept_of_those_whose_names_others_have(expect_log):
    expect_log("another dataset has this name by now")
    slots: dict[int, Any] = {}
    closed: list[int] = []
    made = mounting(_former=[], _datasets={}, _operations=SimpleNamespace(slots=slots))
    for number in range(FORMER + 2):
        one = SimpleNamespace(
            info=SimpleNamespace(id=number, name="signs"),
            tree=SimpleNamespace(slot=number << 40),
            follower=SimpleNamespace(retire=lambda: None),
            close=lambda until, number=number: closed.append(number),
        )
        made._datasets[number] = slots[number] = one
        made._give_up(one)
    assert closed == [0, 1]
    assert sorted(slots) == list(range(2, FORMER + 2))
