"""The configuration file: read, checked as a whole, and silent about secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.config.load import load
from syncd.config.parts import Config
from syncd.config.places import places
from syncd.config.secret import Secret
from syncd.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    """`write(text)`: make it the configuration; its places."""
    where = places({"SYNCD_CONFIG_DIR": str(tmp_path), "HOME": str(tmp_path)})

    def write(text: str | bytes):
        where.config_file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return where

    return write


def problems(where) -> str:
    with pytest.raises(ConfigError) as caught:
        load(where)
    assert str(caught.value).startswith(str(where.config_file))
    assert "\n" not in str(caught.value)
    return caught.value.message


def test_no_file_means_the_defaults(tmp_path):
    assert load(places({"SYNCD_CONFIG_DIR": str(tmp_path / "none")})) == Config()


def test_everything_that_can_be_said(write, monkeypatch, tmp_path):
    (tmp_path / "token").write_text("from a file\n")
    config = load(
        write(f"""
        remote = "nas"
        [remotes.nas]
        url = "https://nas:8443"
        token = {{ env = "NAS_TOKEN" }}
        [remotes.lab]
        url = "http://127.0.0.1:9"
        token = {{ file = "{tmp_path}/token" }}
        [mirror]
        layout = "tree"
        on_delete = "keep"
        on_conflict = "suffix"
        source = "cam"
        extensions = [".raw"]
        ignore = ["*.bak"]
        [hub]
        port = 8080
        min_free = 1000
        retention_days = 7
    """)
    )
    assert config.remote == "nas"
    assert (config.mirror.layout, config.mirror.on_delete) == ("tree", "keep")
    assert (config.mirror.extensions, config.mirror.ignore) == ((".raw",), ("*.bak",))
    assert (config.hub.port, config.hub.min_free, config.hub.retention_days) == (8080, 1000, 7)
    nas, lab = config.remotes["nas"].token, config.remotes["lab"].token
    assert nas is not None
    assert lab is not None
    monkeypatch.setenv("NAS_TOKEN", "geheim")
    assert (nas.reveal(), lab.reveal()) == ("geheim", "from a file")
    assert "geheim" not in f"{config} {nas!r} {nas!s}"
    monkeypatch.delenv("NAS_TOKEN")
    with pytest.raises(ConfigError, match="the variable NAS_TOKEN is not set"):
        nas.reveal()


def test_all_faults_are_told_at_once_with_the_nearest_key(write):
    told = problems(
        write("""
        remot = "nas"
        remote = 3
        [remotes.nas]
        token = "in the clear"
        [mirror]
        layout = "flatt"
        on_delete = ["trash"]
        extentions = [".raw"]
        ignore = "x"
        [hub]
        port = "8080"
        min_free = true
        retention_days = 1.5
        colour = "red"
    """)
    )
    for fault in (
        "unknown key remot: did you mean remote?",
        "remote must be a string",
        "remotes.nas.url is missing",
        "remotes.nas.token must be { env",
        "mirror.layout must be one of first-level, tree, flat",
        "mirror.on_delete must be one of trash, keep, delete",
        "unknown key mirror.extentions: did you mean extensions?",
        "mirror.ignore must be a list of strings",
        "hub.port must be a number",
        "hub.min_free must be a number",
        "unknown key hub.colour: known are min_free, port, retention_days",
    ):
        assert fault in told
    assert "in the clear" not in told


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("remote = ", "is not TOML"),
        ("[mirror", "is not TOML"),
        (b"\xff\xfe", "cannot be read"),
        ("mirror = 3", "[mirror] is no table"),
        ("remotes = []", "[remotes] is no table"),
        ("[remotes]\nnas = 'x'", "[remotes.nas] is no table"),
        ("[hub]\nport = 70000", "hub.port: 70000: say a port, from 0 to 65535"),
        ("[hub]\nretention_days = -1", "hub.retention_days: -1: say days, from 0 to 36500"),
        ("[hub]\nmin_free = -1", "hub.min_free: -1: say bytes, 0 or more"),
    ],
)
def test_what_makes_no_sense_is_told(write, text, fault):
    assert fault in problems(write(text))


@pytest.mark.parametrize("token", ['{ env = "" }', '{ file = " " }', "{ credential = 3 }", "{}"])
def test_a_token_that_refers_to_nothing_is_told(write, token):
    text = f'[remotes.nas]\nurl = "https://nas"\ntoken = {token}\n'
    assert "remotes.nas.token must be { env" in problems(write(text))


def test_a_secret_that_refers_to_nothing_can_be_shown():
    assert repr(Secret(env="")) == "Secret(env='')"
    assert repr(Secret()) == "Secret()"


@pytest.mark.parametrize(
    "text",
    [
        '[remotes.nas]\nurl = "https://ann:geheim@nas:8443/x"',
        'remote = "https://geheim@nas"',
        '[[mirror]]\nroot = "/a"\nremote = "https://ann:geheim@nas"',
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(write, text):
    told = problems(write(text))
    assert "an address holds no name or password" in told
    assert "geheim" not in told


def test_an_at_sign_elsewhere_in_an_address_is_taken(write):
    assert load(write('remote = "https://nas/of@ann"')).remote == "https://nas/of@ann"


def test_a_folder_in_the_files_place_is_told(tmp_path):
    where = places({"SYNCD_CONFIG_DIR": str(tmp_path)})
    where.config_file.mkdir()
    assert "cannot be read" in problems(where)


def test_a_token_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Secret(file=str(tmp_path / "none")).reveal()
    assert Path.home() != tmp_path
