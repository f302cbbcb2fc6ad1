"""Where things lie: XDG folders, the variables of syncd, several instances side by side."""

from __future__ import annotations

from pathlib import Path

from syncd.config.places import ambient, places


def test_the_defaults_lie_below_home():
    where = places({"HOME": "/home/ann"})
    assert where.config_file == Path("/home/ann/.config/syncd/config.toml")
    assert where.hub_address == Path("/home/ann/.local/state/syncd/hub.json")
    assert where.hub_data == Path("/home/ann/.local/share/syncd/hub")
    assert where.mirrors == Path("/home/ann/.local/state/syncd/mirrors")
    assert where.cache == Path("/home/ann/.cache/syncd")


def test_xdg_folders_are_honoured_but_not_relative_ones():
    where = places({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_DATA_HOME": "relative"})
    assert (where.state, where.data) == (Path("/s/syncd"), Path("/h/.local/share/syncd"))


def test_our_own_variables_win_and_make_another_instance(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    where = places({"HOME": "/h", "XDG_STATE_HOME": "/s", "SYNCD_STATE_DIR": "/own",
                    "SYNCD_DATA_DIR": "here"})  # fmt: skip
    assert (where.state, where.data) == (Path("/own"), tmp_path / "here")


def test_an_empty_variable_is_unset():
    assert ambient({"SYNCD_REMOTE": "", "SYNCD_TOKEN": "", "SYNCD_TOKEN_FILE": ""}).remote is None
    found = ambient({"SYNCD_REMOTE": "nas", "SYNCD_TOKEN": "t", "SYNCD_TOKEN_FILE": "/f"})
    assert (found.remote, found.token, found.token_file) == ("nas", "t", Path("/f"))
    assert places({"HOME": "/h", "SYNCD_STATE_DIR": ""}).state == Path("/h/.local/state/syncd")


def test_nothing_shows_a_token():
    assert "secret" not in repr(ambient({"SYNCD_TOKEN": "secret"}))
