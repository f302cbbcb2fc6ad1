"""Orders to mirrors that no daemon runs: what is said is what will be, and when."""

from __future__ import annotations

import pytest

from syncd.config.places import places
from syncd.state.report import mirrors
from syncd.state.store import State
from syncd.state.troubles import Trouble


@pytest.fixture
def pushed(cli, shared, name, photos):
    """A folder that was pushed, so that there is a mirror which nobody runs."""
    cli("push", photos, "--to", name)
    return photos


def spoil(*paths: str) -> None:
    [folder] = mirrors(places().mirrors)
    state = State(folder)
    for path in paths:
        state.troubles.note(Trouble(path=path, kind="failed", reason="why"))
    state.close()


def test_a_retry_is_noted_with_how_many_files_it_is_about(cli, pushed):
    assert "noted: 0 files are tried at the next watch or push\n" in cli("retry").out
    spoil("a.jpg")
    assert "noted: 1 file is tried at the next watch or push\n" in cli("retry").out


def test_no_sweep_begins_where_nothing_runs(cli, pushed):
    said = cli("sweep").out
    assert "noted: the next watch or push compares with all the remote holds\n" in said
    assert "begun" not in said
