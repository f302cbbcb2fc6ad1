"""A server that is no hub: what it says of datasets and files is not believed."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Stranger(BaseHTTPRequestHandler):
    """Knows no path, as any server of web pages."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "words",
    [
        ["ls"], ["ls", "d"], ["pull", "d", "{new}"], ["get", "d/1.jpg"], ["verify", "d"],
        ["trash", "list", "d"], ["push", "{photos}", "--to", "d", "--dry-run", "--json"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_says_so(cli, home, photos, tmp_path, stranger, words):
    place = {"photos": photos, "new": tmp_path / "new"}
    said = cli(*(word.format(**place) for word in words), "--remote", stranger, code=5)
    assert said.out == ""
    assert f"what answers at {stranger} is no syncd hub" in said.err
