"""Who gets in, and what a browser on another site, or a stored file, can do: nothing.

Tests named after a CVE hold the lesson of that one in some other product.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import stat
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from syncd.errors import ConfigError
from syncd.hub import auth
from syncd.hub.auth import Auth
from tests.hub.asking import asking

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 50


NUMBERS = count()


class Clock:
    def __init__(self):
        self.ns = 10**18

    def now_ns(self):
        return self.ns

    def monotonic(self):
        return self.ns / 1e9

    def forward(self, seconds):
        self.ns += int(seconds * 1e9)


@pytest.fixture
def pets(hub):
    with asking(hub, f"auth-{next(NUMBERS)}") as asker:
        yield asker


@pytest.fixture
def stranger(pets):
    with httpx.Client(base_url=pets.http.base_url) as client:
        yield client


ASKED = [
    ("GET", "/"), ("GET", "/metrics"), ("GET", "/openapi.json"),
    ("GET", "/v1/datasets"), ("PUT", "/v1/datasets/x"), ("GET", "/v1/items/x/content"),
    ("GET", "/v1/items/x/thumbnail"), ("POST", "/v1/link"), ("POST", "/v1/restore"),
    ("POST", "/v1/uploads"), ("PATCH", "/v1/uploads/x?offset=0"), ("GET", "/nowhere"),
    ("POST", "/v1/missing"), ("HEAD", "/v1/datasets"), ("OPTIONS", "/v1/datasets"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "path"), ASKED)
def test_cve_2026_49980_nothing_is_answered_without_a_token(stranger, verb, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic YTpi"}):
        assert stranger.request(verb, path, headers=headers).status_code == 401
    assert stranger.get("/health").status_code == 200


def test_a_refusal_is_heard_by_whoever_is_still_sending(pets, stranger):
    for _ in range(3):
        answer = stranger.post(f"{pets.base}/batch", content=bytes(20_000_000))
        assert answer.status_code == 401


def test_the_token_is_long_private_and_never_made_over(tmp_path):
    before = os.umask(0)
    try:
        first = auth.token(tmp_path / "token")
    finally:
        os.umask(before)
    assert len(first) >= 43  # 256 bits in base64
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert auth.token(tmp_path / "token") == first
    assert auth.token(tmp_path / "other") != first


def test_the_name_of_a_new_token_is_durable(tmp_path, monkeypatch):
    """Else a power cut leaves a hub whose clients know a token that it does not."""
    synced: list[Path] = []
    monkeypatch.setattr(auth, "sync", synced.append)
    auth.token(tmp_path / "token")
    assert synced == [tmp_path]


def test_what_a_full_disk_left_of_a_token_is_none(tmp_path):
    """With an empty one, whoever says nothing would be let in."""
    (tmp_path / "token").touch()
    (tmp_path / "token.new").write_text("half")
    made = auth.token(tmp_path / "token")
    assert len(made) >= 43
    assert auth.token(tmp_path / "token") == made
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(ConfigError, match="fewer than"):
        auth.token(tmp_path / "token")


def test_ghsa_mfvx_7rcj_9m5g_secrets_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(one, other):
        compared.append((one, other))
        return False

    monkeypatch.setattr("hmac.compare_digest", compare)
    judge = Auth("secret", Clock())
    assert not judge.bearer(b"Bearer secret")
    assert not judge.cookie("1.2.3")
    assert len(compared) == 2


def test_a_link_works_once_within_a_minute():
    clock = Clock()
    judge = Auth("secret", clock)
    code, late = judge.link(), judge.link()
    assert judge.cookie(judge.enter(code) or "")
    assert judge.enter(code) is None
    clock.forward(61)
    assert judge.enter(late) is None
    assert judge.enter("\udc80") is None


def test_a_cookie_ends_with_its_time_its_token_or_one_changed_letter():
    clock = Clock()
    judge = Auth("secret", clock)
    cookie = judge.enter(judge.link()) or ""
    assert Auth("secret", clock).cookie(cookie), "a restarted hub knows it"
    assert not Auth("other", clock).cookie(cookie)
    assert not judge.cookie("9" + cookie)
    assert not judge.cookie(cookie[:-1] + ("0" if cookie[-1] != "0" else "1"))
    assert not judge.cookie("")
    assert not judge.cookie("ü")
    clock.forward(auth.COOKIE_SECONDS + 1)
    assert not judge.cookie(cookie)


def enter(pets, stranger):
    """Go in as a browser does; the Set-Cookie header."""
    path = pets.http.post("/v1/link").json()["path"]
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert stranger.get(path).status_code == 403
    return answer.headers["set-cookie"]


def test_the_page_is_entered_by_the_link_and_its_cookie_is_shut_to_scripts(pets, stranger):
    cookie = enter(pets, stranger)
    assert re.search(r"(?i)httponly", cookie)
    assert re.search(r"(?i)samesite=strict", cookie)
    assert stranger.get("/").status_code == 200
    assert stranger.get("/v1/datasets").status_code == 200


def test_a_change_by_cookie_must_come_from_the_page_itself(pets, stranger):
    enter(pets, stranger)
    own = str(stranger.base_url).rstrip("/")
    assert stranger.put("/v1/datasets/x").status_code == 403
    for origin in ("https://evil.example", "null", own.replace("http", "ftp"), own + "0", "x"):
        assert stranger.put("/v1/datasets/x", headers={"origin": origin}).status_code == 403
    assert stranger.put("/v1/datasets/x", headers={"origin": own}).status_code in (200, 201)
    assert stranger.get("/v1/datasets", headers={"origin": "http://x"}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost", "", "127.0.0.1"]
)
def test_cve_2024_24759_a_rebound_name_gets_no_answer(pets, host):
    port = urlsplit(str(pets.http.base_url)).port
    for path in ("/health", "/v1/datasets"):
        answer = pets.http.get(path, headers={"host": host.format(port=port)})
        assert answer.status_code == 421
    for good in (f"localhost:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert pets.http.get("/v1/datasets", headers={"host": good}).status_code == 200


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("avatar.html", HTML), ("a.svg", SVG), ("a.png", SVG), ("a.jpg", HTML), ("a.html", PNG),
        ("a.svg", PNG), ("a.xml", b"<?xml version='1.0'?>"), ("a.js", b"alert(1)"), ("a", PNG),
        ("a.pdf", b"%PDF-1.7"), ("a.png", b""),
    ],
)  # fmt: skip
def test_cve_2023_47115_what_a_browser_could_run_is_never_shown(pets, name, body):
    answer = pets.content(pets.stored(name, body))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        ("a.png", PNG, "image/png"),
        ("wrong.jpg", PNG, "image/png"),
        ("a.JPG", b"\xff\xd8\xff\xe0 jfif", "image/jpeg"),
        ("a.gif", b"GIF89a...", "image/gif"),
        ("a.bmp", b"BM\x10\0\0\0\0\0\0\0\x36", "image/bmp"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        ("a.avif", b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0", "video/mp4"),
        ("a.webm", b"\x1a\x45\xdf\xa3webm", "video/webm"),
    ],
)
def test_pictures_are_shown_as_what_their_bytes_are(pets, name, body, kind):
    answer = pets.content(pets.stored(name, body))
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].startswith("inline")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ['a"; x="', "a\r\nset-cookie: x=y", "ä✨.png", "a;b", "%0d%0a", "a'b"]
)
def test_cve_2021_32679_a_name_cannot_end_its_header(pets, name):
    answer = pets.content(pets.stored(f"d/{name}", b"cat"))
    disposition = answer.headers["content-disposition"]
    assert "set-cookie" not in answer.headers
    quoted = re.fullmatch(r"(?:inline|attachment); filename\*=UTF-8''([\w.~%-]+)", disposition)
    assert quoted
    assert unquote(quoted[1]) == name


def test_bodies_that_are_too_long_are_refused_announced_or_not(pets):
    base = urlsplit(str(pets.http.base_url))
    token = pets.http.headers["authorization"]
    for path in ("/v1/missing", f"{pets.base}/batch"):
        connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=10)
        connection.putrequest("POST", path)
        connection.putheader("authorization", token)
        connection.putheader("content-length", str(65 * 1024 * 1024))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
    chunk = b'["' + b"a" * 65_534
    answer = pets.http.post("/v1/missing", content=(chunk for _ in range(70)))
    assert answer.status_code == 413


@pytest.mark.parametrize("bad", ['{"digests": 5}', "[]", "{", '{"digests": ["x"]}', "[" * 100_000])
def test_ghsa_6jcg_q3wp_x2f4_bad_json_is_a_sentence(pets, bad):
    answer = pets.http.post(
        "/v1/missing", content=bad, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]
    assert pets.http.get("/health").status_code == 200


def send_for_ever(line):
    for _ in range(1000):
        line.sendall(b"a" * 65_536)
    raise AssertionError("64 MiB of head were taken")


def test_cve_2026_71310_a_head_without_end_is_cut_off(pets):
    base = urlsplit(str(pets.http.base_url))
    connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=10)
    connection.connect()
    connection.sock.sendall(b"GET /health HTTP/1.1\r\nx: ")
    with pytest.raises(ConnectionError):
        send_for_ever(connection.sock)
    connection.close()
    many = {f"x-{n}": "y" for n in range(200)}
    assert pets.http.get("/health", headers=many).status_code == 431


def test_neither_token_nor_code_nor_cookie_is_ever_logged(start_hub):
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets, httpx.Client(base_url=hub.url) as stranger:
        cookie = enter(pets, stranger)
        code = pets.http.post("/v1/link").json()["path"].partition("=")[2]
        stranger.get("/enter", params={"code": code})
        stranger.get("/v1/datasets", headers={"authorization": "Bearer guessed-wrong"})
        pets.http.post("/v1/restore", json={"source": "/nowhere"})
    hub.stop()
    value = cookie.partition("=")[2].partition(";")[0]
    for secret in (hub.token, code, value, "guessed-wrong"):
        assert secret not in hub.log


def test_the_address_file_is_private(start_hub):
    hub = start_hub()
    assert stat.S_IMODE(hub.address_file.stat().st_mode) == 0o600
    assert json.loads(hub.address_file.read_text())["pid"] == hub.pid
