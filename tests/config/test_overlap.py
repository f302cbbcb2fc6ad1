"""Folders, mounts and syncd's own places: what must not lie in each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.config.load import load
from syncd.config.places import places
from syncd.errors import ConfigError


@pytest.fixture
def told(tmp_path):
    """`told(text)`: the problems of a configuration, empty where there is none."""

    def told(text: str) -> str:
        file = tmp_path / "config.toml"
        file.write_text(text)
        where = places({"SYNCD_CONFIG_FILE": str(file), "SYNCD_STATE_DIR": "/var/lib/s/state",
                        "SYNCD_DATA_DIR": "/srv/own", "SYNCD_CACHE_DIR": "/home/.c/cache",
                        "HOME": str(tmp_path)})  # fmt: skip
        try:
            load(where)
        except ConfigError as error:
            return error.message
        return ""

    return told


def mirror(root: str, more: str = "") -> str:
    return f'[[mirror]]\nroot = "{root}"\n{more}\n'


def mount(path: str) -> str:
    return f'[[mount]]\npath = "{path}"\ndataset = "x"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (mirror("/a") + mirror("/a/b"), "the roots /a and /a/b lie in each other"),
        (mirror("/a/b/c") + mirror("/a"), "the roots /a/b/c and /a lie in each other"),
        (mirror("/a") + mirror("/a"), "the root /a is listed twice for one dataset"),
        (mirror("/a") + mount("/a/m"), "the mount /a/m and the root /a lie in each other"),
        (mirror("/a/b") + mount("/a"), "the mount /a and the root /a/b lie in each other"),
        (mount("/m") + mount("/m/n"), "the mounts /m and /m/n lie in each other"),
        (mirror("/var/lib/s/state/x"), "state directory /var/lib/s/state lie in each other"),
        (mirror("/var/lib/s/state"), "state directory /var/lib/s/state lie in each other"),
        (mirror("/var/lib"), "state directory /var/lib/s/state lie in each other"),
        (mirror("/a", 'dataset = "x/y"'), "mirror 1.dataset: holds a slash or a control character"),
        (mount("/srv/own/m"), "data directory /srv/own lie in each other"),
    ],
)
def test_what_lies_in_each_other_is_told(told, text, fault):
    assert fault in told(text)


@pytest.mark.parametrize(
    "text",
    [
        mirror("/a") + mirror("/ab") + mount("/m") + mount("/mm"),
        mirror("/a", 'dataset = "one"') + mirror("/a", 'dataset = "two"'),
        mirror("/home"),  # its cache lies in a folder that scans leave out
    ],
)
def test_what_lies_apart_is_taken(told, text):
    assert told(text) == ""


def test_a_link_to_a_folder_is_that_folder(told, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert "listed twice" in told(mirror(f"{tmp_path}/real") + mirror(f"{tmp_path}/link"))


def test_every_fault_of_mirrors_and_mounts_is_told_at_once(told):
    said = told("""
        [defaults]
        layuot = "tree"
        [[mirror]]
        rot = "/a"
        [[mirror]]
        root = "relative"
        layout = "round"
        remote = "labb"
        path = "a/../b"
        [[mount]]
        dataset = "x"
        [[mount]]
        path = "/m"
        cache_size = 3
        [remotes.lab]
        url = "http://lab"
        token = { file = "x", env = "y" }
    """)
    for fault in (
        "unknown key defaults.layuot: did you mean layout?",
        "unknown key mirror 1.rot: did you mean root?",
        "mirror 1.root is missing",
        "mirror 2.root: 'relative' must begin with / or ~/",
        "mirror 2.layout must be one of first-level, tree, flat",
        "mirror 2: there is no remote 'labb': did you mean lab?",
        "mirror 2.path: a folder of a dataset has no . or ..",
        "mount 1.path is missing",
        "mount 2.cache_size must be a string",
        "remotes.lab.token must be { env",
    ):
        assert fault in said


def test_overlaps_are_told_beside_faults_of_keys(told):
    said = told(mirror("/a", 'colour = "red"') + mirror("/a/b") + "[[mirror]]\n[[mirror]]\n")
    assert "unknown key mirror 1.colour" in said
    assert "the roots /a and /a/b lie in each other" in said
    assert "mirror 4.root is missing" in said
    assert said.count("lie in each other") == 1
    assert "twice" not in said


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('cache_size = "10 apples"', "cache_size: '10 apples': say a number, or one with K, M"),
        ('mode = "666"', "mode: '666': say three octal digits without write"),
        ('mode = "rw"', "mode: 'rw': say three octal digits without write"),
        ('sidecars = "some"', "sidecars: 'some': say one of annotated, all, none"),
        ("staleness = 0", "staleness: 0: say seconds, at least 0.1"),
        ("staleness = -1.5", "staleness: -1.5: say seconds"),
        ("timeout = nan", "timeout: nan: say seconds"),
        ("timeout = inf", "timeout: inf: say seconds"),
        ("timeout = true", "timeout must be a number"),
        ("uid = -1", "uid: -1 is the number of no user or group"),
        ('dataset = "a/b"', "dataset: holds a slash or a control character"),
        ('dataset = " "', "dataset: is empty"),
    ],
)
def test_a_value_that_no_mount_takes_is_told(told, line, fault):
    assert f"mount 1.{fault}" in told(f'[[mount]]\npath = "/m"\n{line}\n')


def test_what_a_mount_takes_is_taken(told):
    said = (
        'cache_size = "1.5 GiB"\nmode = "0440"\nsidecars = "all"\nstaleness = 0.5\ntimeout = 30\n'
    )
    assert told(mount("/m") + said) == ""


def test_the_command_line_knows_the_same_words():
    from syncd.cli.mount import Sidecars
    from syncd.config.checked import SIDECARS
    from syncd.mount.sidecars import Mode

    assert set(SIDECARS) == set(map(str, Sidecars)) == set(map(str, Mode))


def test_a_mirror_has_the_defaults_and_what_it_says_itself(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text(
        '[defaults]\nlayout = "flat"\nignore = ["x"]\n[[mirror]]\nroot = "/a"\non_delete = "keep"\n'
        '[[mirror]]\nroot = "~/b"\nlayout = "tree"\n'
    )
    config = load(places({"SYNCD_CONFIG_FILE": str(file), "HOME": str(tmp_path)}))
    first, second = config.mirrors
    assert (first.choices.layout, first.choices.on_delete) == ("flat", "keep")
    assert (second.choices.layout, second.choices.ignore) == ("tree", ("x",))
    assert second.root == Path("~/b").expanduser().resolve()


def test_a_file_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        load(places({"SYNCD_CONFIG_FILE": str(tmp_path / "none"), "HOME": str(tmp_path)}))


def test_a_credential_is_read_where_systemd_puts_it(tmp_path, monkeypatch):
    from syncd.config.secret import Secret

    secret = Secret(credential="token")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="only inside a unit"):
        secret.reveal()
    (tmp_path / "token").write_text("geheim\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret.reveal() == "geheim"
    assert "geheim" not in repr(secret)
