"""`syncd run` without systemd: many mirrors, a configuration that changes, an end that is clean."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from tests.e2e.program import Shelf, eventually


@pytest.fixture
def daemon(syncd, tmp_path, hub):
    """`daemon(text)`: write the configuration; `daemon.start()`: run it."""
    file = tmp_path / "syncd.toml"
    (tmp_path / "token").write_text(hub.token)

    class Daemon:
        def __call__(self, text: str) -> None:
            remote = f'remote = "main"\n[remotes.main]\nurl = "{hub.url}"\n'
            file.write_text(remote + f'token = {{ file = "{tmp_path}/token" }}\n' + text)

        def start(self):
            syncd.extra = {}
            return syncd.start("run", "--config", file)

        def again(self, running) -> None:
            os.kill(running.pid, signal.SIGHUP)

    return Daemon()


def mirror(root: Path, dataset: str, more: str = "") -> str:
    root.mkdir(exist_ok=True)
    return f'[[mirror]]\nroot = "{root}"\ndataset = "{dataset}"\n{more}\n'


def test_twenty_mirrors_in_one_daemon(daemon, tmp_path, hub, name):
    roots = [tmp_path / f"root-{n}" for n in range(20)]
    daemon("".join(mirror(root, f"{name}-{n}") for n, root in enumerate(roots)))
    running = daemon.start()
    for n, root in enumerate(roots):
        (root / "a.jpg").write_bytes(b"%d" % n)
    shelves = [Shelf(hub.url, hub.token, f"{name}-{n}") for n in range(20)]
    eventually(lambda: all(list(shelf.digests()) == ["a.jpg"] for shelf in shelves))
    assert running.stop().count("drop files into") == 20


def test_a_changed_file_is_taken_without_a_break_for_who_did_not_change(
    daemon, tmp_path, hub, name
):
    one, two = tmp_path / "one", tmp_path / "two"
    slow = 'bandwidth = "2 MB/s"'
    daemon(mirror(one, f"{name}-1", slow))
    running = daemon.start()
    running.until("drop files into")
    (one / "big.mp4").write_bytes(os.urandom(12_000_000))
    threading.Event().wait(1.5)  # it is under way now
    daemon(mirror(one, f"{name}-1", slow) + mirror(two, f"{name}-2"))
    daemon.again(running)
    (two / "b.jpg").write_bytes(b"b")
    first, second = (Shelf(hub.url, hub.token, f"{name}-{n}") for n in (1, 2))
    eventually(lambda: list(second.digests()) == ["b.jpg"])
    eventually(lambda: list(first.digests()) == ["big.mp4"])
    assert running.said.count(f"drop files into {one}:") == 1
    daemon(mirror(two, f"{name}-2"))
    daemon.again(running)
    eventually(lambda: "mirror leaves" in running.said)
    (two / "c.jpg").write_bytes(b"c")
    eventually(lambda: len(second.digests()) == 2)
    assert running.stop().count(f"drop files into {two}:") == 1


def test_a_file_that_makes_no_sense_changes_nothing_and_is_told(daemon, tmp_path, hub, name):
    one = tmp_path / "one"
    daemon(mirror(one, name))
    running = daemon.start()
    running.until("drop files into")
    daemon(mirror(one, name, 'layuot = "tree"'))
    daemon.again(running)
    running.until("did you mean layout?")
    (one / "a.jpg").write_bytes(b"a")
    eventually(lambda: list(Shelf(hub.url, hub.token, name).digests()) == ["a.jpg"])
    running.stop()


def test_every_fault_ends_the_start_with_status_3(syncd, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('[[mirror]]\nroot = "x"\n[[mount]]\ndataset = "y"\n')
    done = syncd("run", "--config", file, code=3)
    assert "mirror 1.root: 'x' must begin with / or ~/" in done.err
    assert "mount 1.path is missing" in done.err
    assert "there is no such file" in syncd("run", "--config", tmp_path / "none", code=3).err


def test_a_token_that_is_refused_ends_it_with_status_7(daemon, tmp_path, name):
    daemon(mirror(tmp_path / "one", name))
    (tmp_path / "token").write_text("another-token")
    running = daemon.start()
    assert eventually(lambda: running.process.poll() is not None)
    running.over = True
    assert running.process.returncode == 7


def test_a_mirror_begins_again_where_its_root_comes_or_another_service_leaves_it(
    daemon, tmp_path, hub, name
):
    root, later, shelf = tmp_path / "one", tmp_path / "later", Shelf(hub.url, hub.token, name)
    daemon(mirror(root, name))
    first = daemon.start()
    first.until("drop files into")
    here = mirror(tmp_path / "here", f"{name}-here")
    daemon(here + mirror(root, name) + mirror(later, f"{name}-later"))
    later.rmdir()
    second = daemon.start()
    second.until(f"drop files into {tmp_path / 'here'}")
    for ended in (root, later):
        second.until(f"mirror ended root={ended}")
    later.mkdir()
    (later / "a.jpg").write_bytes(b"a")
    (root / "a.jpg").write_bytes(b"a")
    eventually(lambda: list(shelf.digests()) == ["a.jpg"])
    first.stop()
    (root / "b.jpg").write_bytes(b"b")
    eventually(lambda: sorted(shelf.digests()) == ["a.jpg", "b.jpg"], 60)
    shelf = Shelf(hub.url, hub.token, f"{name}-later")
    eventually(lambda: list(shelf.digests()) == ["a.jpg"], 60)
    assert f"pid {first.pid}" in second.stop()


def test_the_configuration_is_printed_with_its_secrets_hidden(syncd, daemon, tmp_path, hub):
    daemon(mirror(tmp_path / "one", "x") + '[[mount]]\npath = "/mnt/x"\n')
    syncd.extra = {"SYNCD_CONFIG_FILE": str(tmp_path / "syncd.toml")}
    said = syncd("config", "--json").out
    table = json.loads(said)
    assert hub.token not in said
    assert table["mirror 1.root"] == str(tmp_path / "one")
    assert table["mount 1.path"] == "/mnt/x"


def test_it_ends_where_no_mount_can_be_served_and_there_is_nothing_else(daemon, syncd, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a").touch()
    daemon(f'[[mount]]\npath = "{tmp_path}/taken"\ndataset = "x"\n')
    syncd.extra = {}
    running = syncd.start("run", "--log-json", "--config", tmp_path / "syncd.toml")
    assert eventually(lambda: running.process.poll() is not None)
    running.over = True
    assert running.process.returncode == 2
    lines = [json.loads(line) for line in running.said.splitlines()]
    assert any("mount ended for good" in line["event"] for line in lines)
    assert len(lines) > 1, "the mount's own words are for programs, too"


def test_numbers_go_elsewhere_only_after_a_restart_and_that_is_told(daemon, tmp_path, name):
    daemon(mirror(tmp_path / "one", name))
    running = daemon.start()
    running.until("drop files into")
    daemon(mirror(tmp_path / "one", name) + f'[metrics]\ntextfile = "{tmp_path}/n.prom"\n')
    daemon.again(running)
    running.until("change of [metrics] not taken: that needs a restart")
    running.stop()
