"""What the hub counts, in a registry of its own, as Prometheus reads it."""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from syncd.hub.ops import Result
from syncd.hub.store import Store

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)


class Metrics:
    """The numbers of one hub."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Held(store))
        self._requests = Counter(
            "syncd_hub_requests", "Requests answered", ("call", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "syncd_hub_request_seconds",
            "Time from a request's head to its answer's end",
            ("call",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._operations = Counter(
            "syncd_hub_operations", "Operations of batches", ("status",), registry=self._registry
        )
        self._received = Counter(
            "syncd_hub_received_bytes", "Bytes of bodies that came in", registry=self._registry
        )

    def answered(self, call: str, status: int, seconds: float) -> None:
        self._requests.labels(call, status).inc()
        self._seconds.labels(call).observe(seconds)

    def did(self, results: Iterable[Result]) -> None:
        for status, number in Tally(result.status for result in results).items():
            self._operations.labels(status).inc(number)

    def received(self, size: int) -> None:
        self._received.inc(size)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _Held(Collector):
    """What is held now, looked up when it is asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterable[Metric]:
        rows = self._store.catalogue.datasets()
        disk = os.statvfs(self._store.root)
        yield _gauge("syncd_hub_datasets", "Datasets", len(rows))
        yield _gauge("syncd_hub_items", "Items present", sum(row.items for row in rows))
        yield _gauge("syncd_hub_item_bytes", "Bytes of items", sum(row.bytes for row in rows))
        yield _gauge("syncd_hub_disk_free_bytes", "Left", disk.f_bavail * disk.f_frsize)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)
