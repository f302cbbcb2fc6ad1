"""The text that Prometheus reads, held against its own reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from syncd.daemon.metrics import Sample, from_fields, text, to_fields

SAMPLES = st.builds(
    Sample,
    name=st.sampled_from(["pending", "files", "sweep_seconds"]),
    kind=st.just("gauge"),
    help=st.just("What it counts"),
    value=st.floats(0, 1e15) | st.integers(0, 10**15).map(float),
    labels=st.dictionaries(st.sampled_from(["root", "dataset"]), st.text()),
)


@given(st.lists(SAMPLES, max_size=8))
def test_what_is_written_is_what_is_read(samples):
    wire = from_fields(to_fields(samples))
    assert wire == samples
    found = [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text(wire))
        for sample in family.samples
    ]
    clean = [
        (f"syncd_{s.name}", {n: v.encode(errors="replace").decode() for n, v in s.labels.items()},
         s.value)
        for s in sorted(samples, key=lambda s: s.name)
    ]  # fmt: skip
    assert found == clean
