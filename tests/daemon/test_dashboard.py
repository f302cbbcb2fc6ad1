"""The dashboard asks for numbers that there are."""

from __future__ import annotations

import inspect
import json
import re

from syncd.daemon import metrics, mount_numbers
from tests.sources import ROOT


def test_every_number_of_the_dashboard_and_of_the_manual_is_one_that_is_told():
    source = inspect.getsource(metrics.of_mirror) + inspect.getsource(mount_numbers)
    told = set(re.findall(r'(?:^ +|name=)"(\w+)"(?:: \(|, kind)', source, re.M))
    board = json.loads((ROOT / "docs" / "dashboard.json").read_text())
    asked = " ".join(t["expr"] for panel in board["panels"] for t in panel["targets"])
    manual = (ROOT / "docs" / "operate.md").read_text().partition("## Numbers")[2]
    for text in (asked, manual):
        names = set(re.findall(r"\bsyncd_(\w+)", text))
        assert names
        assert names <= told
    assert told <= set(re.findall(r"\bsyncd_(\w+)", manual))
