"""Sidecars to drop beside pictures, and what the remote in memory has of them."""

from __future__ import annotations

import json
from typing import Any

from syncd.annotation.sidecar import render
from syncd.model import Item
from syncd.remotes.memory import MemoryDataset
from tests.engine.world import World


def sidecar(*labels: str, operation: str | None = None, **more: Any) -> bytes:
    """A sidecar that says these labels, each of a box of its own."""
    origin = {"operation_unique_id": operation, "is_model_run": False} if operation else {}
    some = [
        {"type": "rectangle", "bbox": [n, 0, 10, 10], "label": label, **origin}
        for n, label in enumerate(labels)
    ]
    return json.dumps({"images": [{"image": "any", "annotations": some}], **more}).encode()


OWN = "folder:root"
"""What annotations count as that name no operation: the folder of a world is its root."""


def says(world: World) -> dict[str, dict[str, list[str]]]:
    """What the remote has: the labels of each operation, of each present item that has any."""
    kept = world.shelf.sets
    return {
        item.key: {op: [one.label for one in s.annotations] for op, s in kept[item.id].items()}
        for item in world.shelf.present()
        if kept.get(item.id)
    }


def calls(world: World) -> list[str]:
    return [request.call for request in world.requests]


def items(world: World) -> dict[str, Item]:
    return {item.key: item for item in world.shelf.present()}


def rendered(world: World, key: str) -> bytes:
    """The sidecar as the mount shows it."""
    item = items(world)[key]
    dataset = world.remote.open("pets", create=False)
    assert isinstance(dataset, MemoryDataset)
    ((_, sets),) = dataset.annotations([item])
    return render(item, sets)
