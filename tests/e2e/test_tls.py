"""A hub that speaks TLS: found by its user's commands, and by others who know its certificate."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests import proc
from tests.certificate import self_signed
from tests.e2e.program import eventually
from tests.e2e.test_embedded import hubs
from tests.e2e.test_watch import picture


@pytest.fixture
def begin(alone, tmp_path):
    """Start `syncd hub` with a certificate for these names."""

    def begin(*names):
        cert, key = self_signed(tmp_path, *names)
        tls = ["--tls-cert", cert, "--tls-key", key]
        running = alone.start("hub", "--host", "0.0.0.0", "--port", "0", *tls)
        running.until("listens on https://")
        return running

    return begin


def told(program):
    """Where the hub says that it listens."""
    return json.loads((program.folder / "state" / "syncd" / "hub.json").read_text())


def test_commands_of_the_same_user_need_nothing_but_the_hub(alone, begin, root, tmp_path):
    begin("DNS:hub.example.org")
    (root / "a.jpg").write_bytes(picture("a"))
    watching = alone.watch(root, "--to", "x")
    eventually(lambda: alone("ls", "x", "--json").lines)
    watching.stop()
    (root / "b.jpg").write_bytes(picture("b"))
    assert alone("push", root, "--to", "x", "--json").json["uploaded"] == 1
    assert alone("verify", "x", "--against", root, "--json").json["wrong"] == []
    alone("pull", "x", tmp_path / "back")
    assert (tmp_path / "back" / "b.jpg").read_bytes() == picture("b")
    assert alone("open").out.startswith("https://127.0.0.1:")


def test_its_address_reaches_it_and_starts_none(alone, begin, root, home):
    running = begin("DNS:hub.example.org")
    url = told(alone)["url"]
    (root / "a.jpg").write_bytes(picture("a"))
    alone("push", root, "--to", "x")
    done = alone("push", root, "--to", "x", "--remote", url, "--json").json
    assert (done["uploaded"], done["skipped"]) == (0, 1)
    remotes = [one["remote"] for one in alone("status", "--json").json["mirrors"]]
    assert sorted(remotes) == sorted(["hub", url])
    running.stop()
    (root / "b.jpg").write_bytes(picture("b"))
    alone("push", root, "--to", "x", "--remote", url, code=5)
    assert not hubs(home)
    assert len(alone("status", "--json").json["mirrors"]) == 2


def test_a_watch_follows_its_hub_from_certificate_to_certificate(alone, begin, root):
    watching = alone.watch(root, "--to", "x")

    def stored(name):
        (root / name).write_bytes(picture(name))
        eventually(lambda: f"{name}: safe" in alone.ends("status", root / name).out)

    stored("without.jpg")
    watching.freeze()  # or it would start one of its own
    pid = told(alone)["pid"]
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not proc.parent(pid))  # its address goes first, its lock at the very end
    first = begin("DNS:hub.example.org")
    watching.thaw()
    stored("first.jpg")
    watching.freeze()
    first.stop()
    begin("DNS:hub.example.org")
    watching.thaw()
    stored("second.jpg")
    watching.stop()


def test_another_user_says_the_certificate_in_the_configuration(alone, start_hub, root, tmp_path):
    cert, key = self_signed(tmp_path, "DNS:localhost")
    hub = start_hub("--tls-cert", str(cert), "--tls-key", str(key))
    url = hub.url.replace("127.0.0.1", "localhost")
    alone.extra["SYNCD_TOKEN"] = hub.token
    lab = f'[remotes.lab]\nurl = "{url}"\n'
    configure(alone, lab)
    assert 'ca = "FILE"' in alone("ls", "--remote", "lab", code=5).err
    configure(alone, f'{lab}ca = "{cert}"\n')
    (root / "a.jpg").write_bytes(picture("a"))
    assert alone("push", root, "--to", "x", "--remote", "lab", "--json").json["uploaded"] == 1
    assert alone("push", root, "--to", "x", "--remote", url, "--json").json["skipped"] == 1
    assert f"ca {cert}" in alone("config").out
    configure(alone, f'[remotes.lab]\nurl = "{hub.url}"\nca = "{cert}"\n')
    assert "127.0.0.1" in alone("ls", "--remote", "lab", code=5).err, "it is for another name"


def test_a_certificate_that_is_none_is_a_sentence(alone, tmp_path):
    lab = '[remotes.lab]\nurl = "https://localhost:1"\n'
    for said, why in (("/none.pem", "cannot be read"), (__file__, "holds no certificate")):
        configure(alone, f'{lab}ca = "{said}"\n')
        error = alone("ls", "--remote", "lab", code=3).err
        assert (said in error, why in error) == (True, True)
        assert len(error.splitlines()) == 1


def configure(program, text):
    file = program.folder / "config" / "syncd" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
