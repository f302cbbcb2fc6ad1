"""Wrong calls and refusals: one clear line, the right exit status, never a traceback."""

from __future__ import annotations

import http.server
import os
import stat
import threading
from collections.abc import Callable, Iterator

import pytest

WRONG = [
    (["bogus"], 2, "No such command 'bogus'"),
    (["push"], 2, "Missing argument 'PATH' (see syncd push --help)"),
    (["push", "{photos}"], 2, "Missing option '--to'"),
    (["push", "{photos}", "--to"], 2, "requires an argument"),
    (["push", "{photos}", "--to", "x", "--bogus"], 2, "No such option: --bogus"),
    (["push", "{photos}", "--to", "x", "--on-conflict", "bla"], 2, "'keep', 'suffix'"),
    (["push", "{photos}", "--to", "x", "--flat", "--preserve-folders"], 2, "choose one"),
    (["push", "{photos}", "--to", "x", "--path", "../y"], 2, "no . or .."),
    (["push", "{photos}", "--to", "a/b"], 2, "name another dataset"),
    (["push", "{photos}", "--to", ""], 2, "name another dataset"),
    (["push", "{photos}", "--to", "x" * 256], 2, "longer than 255 bytes"),
    (["push", "{photos}", "--to", "bell\a"], 2, "control character"),
    (["push", "{photos}", "--to", "x", "--bandwidth", "fast"], 2, "'fast' is no rate"),
    (["watch", "{photos}", "--bandwidth", "0 MB/s"], 2, "is no rate"),
    (["push", "{photos}", "--to", "x", "--bandwidth", ""], 2, "--bandwidth '' is no rate"),
    (["flush", "--timeout", "nan"], 2, "--timeout nan: say seconds"),
    (["flush", "--timeout", "-1"], 2, "--timeout -1.0: say seconds"),
    (["hub", "--retention-days", "nan"], 2, "--retention-days nan: say days"),
    (["hub", "--retention-days", "-1"], 2, "--retention-days -1.0: say days"),
    (["hub", "--min-free", "-5"], 2, "--min-free -5: say bytes"),
    (["service", "install", "--user", "{photos}", "--token-file", "/none"], 3, "cannot be read"),
    (
        ["service", "install", "--user", "{photos}", "--token-file", "/dev/null"],
        3,
        "is empty where a token",
    ),
    (["pause", "--for", ""], 2, "--for '' is no time"),
    (["history", "--since", "soon"], 2, "--since 'soon' is no time"),
    (["history", "--since", "9999999999w"], 2, "is no time"),
    (["pause", "--for", "x"], 2, "'x' is no time"),
    (["push", "{photos}/none", "--to", "x"], 4, "none: there is no such file or folder"),
    (["watch"], 2, "Missing argument 'FOLDER'"),
    (["watch", "{photos}/none"], 4, "none: there is no such file or folder"),
    (["watch", "{photos}/a.jpg"], 2, "a.jpg: is not a folder"),
    (["watch", "{photos}", "{photos}/trip"], 2, "lies inside"),
    (["pull", "none", "{photos}"], 4, "there is no dataset 'none'"),
    (["get", "none"], 2, "say DATASET/PATH"),
    (["get", "none/../a.jpg"], 4, "no name in a dataset is . or .."),
    (["ls", "none/a/../b"], 4, "no name in a dataset is . or .."),
    (["get", "none/a.jpg"], 4, "there is no dataset 'none'"),
    (["ls", "none"], 4, "there is no dataset 'none'"),
    (["ls", "--remote", "nobody"], 3, "there is no remote 'nobody' (known: hub)"),
    (["ls", "--remote", "http://"], 3, "'http://' is no address: it needs http:// or https:// and"),
    (["ls", "--remote", "127.0.0.1:43135"], 3, "is no address: it needs http:// or https:// and"),
    (["ls", "--remote", "hub.example/"], 3, "is no address: it needs http:// or https:// and"),
    (["ls", "--remote", "ftp://x"], 3, "is not an http or https address"),
    (["ls", "--remote", "http://127.0.0.1:1"], 5, "does not answer"),
    (["ls", "--token-file", "/none"], 3, "/none: the token cannot be read"),
    (["ls", "--remote", "hub", "--token-file", "/none"], 3, "/none: the token cannot be read"),
    (["ls", "--remote", "hub", "--token-file", "/proc/version"], 2, "no remote that it is for"),
    (["ls", "--token-file", "/bin/sh"], 3, "/bin/sh: this file holds no token"),
    (["verify", "none"], 4, "there is no dataset 'none'"),
    (["verify", "none", "--flat"], 2, "add --against FOLDER"),
    (["trash", "list", "none"], 4, "there is no dataset 'none'"),
    (["trash", "empty", "none"], 4, "there is no dataset 'none'"),
    (["status", "{photos}/a.jpg"], 4, "no mirror knows this file"),
    (["resolve", "{photos}/a.jpg"], 2, "say one of --local, --remote, --both"),
    (["resolve", "{photos}/a.jpg", "--local", "--both"], 2, "say one of"),
    (["resolve", "{photos}/a.jpg", "--local"], 4, "no mirror knows this file"),
    (["approve", "123456789abc"], 4, "no folder is mirrored yet"),
    (["push", "", "--to", "x"], 2, "a path is empty"),
    (["push", "{photos}", "", "--to", "x"], 2, "a path is empty"),
    (["watch", ""], 2, "a path is empty"),
    (["pull", "none", ""], 2, "a path is empty"),
    (["ls", "--remote", "http://me:secret@127.0.0.1:1"], 3, "holds no name or password"),
    (["ls", "--remote", "http://127.0.0.1:99999"], 3, "is not an http or https address"),
    (["hub", "--port", "abc"], 2, "Invalid value for '--port'"),
    (["hub", "--port", "99999"], 2, "Invalid value for '--port'"),
    (["hub", "--host", "0.0.0.0"], 3, "--tls-cert and --tls-key, or say --insecure"),
    (["hub", "--tls-cert", "/none"], 3, "both a certificate and a key"),
    (["hub", "--data", "/proc/nowhere"], 1, "/proc/nowhere"),
]


@pytest.mark.parametrize(("args", "code", "text"), WRONG, ids=[" ".join(w[0])[:50] for w in WRONG])
def test_a_wrong_call_is_told_in_one_line(cli, shared, home, photos, args, code, text):
    said = cli(*[arg.replace("{photos}", str(photos)) for arg in args], code=code)
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("syncd: ")
    assert text in said.err


def test_a_wrong_call_begins_nothing(cli, home, photos):
    cli("push", photos / "none", "--to", "x", code=4)
    cli("push", photos, "--to", "a/b", code=2)
    cli("watch", photos / "none", code=4)
    assert not (home / "data").exists(), "no hub was started for it"


def test_help_is_there_for_every_command(cli):
    top = cli("--help").out
    commands = [line.split()[0] for line in top.partition("Commands:")[2].splitlines() if line]
    assert {"watch", "push", "pull", "status", "doctor", "hub"} <= set(commands)
    assert "..." not in top.partition("Commands:")[2], "a summary does not fit its line"
    for command in commands:
        told = cli(command, "--help").out
        assert told.startswith(f"Usage: syncd {command}")
        assert max(map(len, told.splitlines())) <= 80
    assert cli("--version").out.startswith("syncd ")
    assert cli(code=2).err.startswith("Usage: syncd")


def test_a_wrong_token_is_refused_in_one_attempt(cli, shared, name, photos, monkeypatch, tmp_path):
    cli("push", photos, "--to", name)
    (tmp_path / "token").write_text("wrong\n")
    for args in (["push", photos, "--to", name], ["ls", name], ["pull", name, tmp_path / "x"]):
        assert "check the token" in cli(*args, "--token-file", tmp_path / "token", code=7).err
    (tmp_path / "token").write_text(f"{shared.token}\n")
    monkeypatch.setenv("SYNCD_TOKEN", "wrong")
    cli("ls", name, code=7)
    cli("ls", name, "--token-file", tmp_path / "token")
    monkeypatch.delenv("SYNCD_TOKEN")
    monkeypatch.setenv("SYNCD_TOKEN_FILE", str(tmp_path / "token"))
    cli("ls", name)


class Dying(http.server.BaseHTTPRequestHandler):
    """A remote that answers everything with one status."""

    status = 401
    asked: list[str]

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture
def dying() -> Iterator[tuple[str, type[Dying]]]:
    kind = type("Kind", (Dying,), {"asked": []})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", kind
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 7), (403, 7), (429, 5), (500, 5), (502, 5), (503, 5), (302, 5), (200, 5)],
)
def test_what_a_remote_answers_becomes_the_exit_status(cli, dying, photos, status, code):
    url, kind = dying
    kind.status = status
    said = cli("push", photos, "--to", "x", "--remote", url, code=code)
    assert len(said.err.splitlines()) == 1
    if code == 7:
        assert len(kind.asked) == 1, "a refusal for good is not asked again"


def test_a_failure_of_our_own_is_one_line_and_kept(cli, home, monkeypatch):
    monkeypatch.setattr("syncd.daemon.overview.every_mirror", lambda: 1 / 0)
    said = cli("status", code=1)
    file = home / "state" / "syncd" / "fault.log"
    assert said.err == f"syncd: unexpected fault: {ZeroDivisionError('division by zero')!r}" \
        f" (details in {file})\n"  # fmt: skip
    assert "Traceback" in file.read_text()


def test_names_that_are_not_text_are_no_accident(cli, shared, tmp_path):
    assert "not valid UTF-8" in cli("ls", "\udcff", code=2).err
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    assert "control character" in cli("watch", tmp_path / os.fsdecode(b"\xff"), code=2).err


def test_files_of_syncd_are_the_users_own(cli, home, photos):
    cli("push", photos, "--to", "x", "--quiet")
    places = [path for top in ("state", "data") for path in (home / top / "syncd").rglob("*")]
    assert len(places) > 5
    top = [home / "state" / "syncd", home / "data" / "syncd"]
    for path in top:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
