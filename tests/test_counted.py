"""Numbers in words."""

from __future__ import annotations

import pytest

from syncd.counted import counted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((1, "file"), "1 file"),
        ((2, "file"), "2 files"),
        ((0, "file"), "0 files"),
        ((1, "file is", "files are"), "1 file is"),
        ((2, "file is", "files are"), "2 files are"),
    ],
)
def test_one_is_not_called_many(given, said):
    assert counted(*given) == said
