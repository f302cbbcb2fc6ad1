"""A hub as a process: its lock, address, port, idle end, signals and TLS."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import httpx
import pytest

from syncd.errors import BusyError, ConfigError
from syncd.hub.core import Hub, HubSettings
from syncd.hub.gate import Hosts
from syncd.hub.lock import locked
from syncd.hub.server import STOP_SECONDS, _Server, bound, check, hosts
from tests.certificate import self_signed
from tests.hub.asking import asking, digest, packed, put


def run(*options):
    return subprocess.run(
        [sys.executable, "-m", "syncd.hub", *options], capture_output=True, text=True, timeout=30
    )


def test_a_second_hub_on_the_data_is_told_the_first_ones_pid(start_hub):
    hub = start_hub()
    second = run("--data", str(hub.data))
    assert second.returncode == BusyError.exit_code
    assert f"process {hub.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    with pytest.raises(BusyError, match=str(hub.pid)), locked(hub.data):
        pass
    hub.kill()
    with locked(hub.data):
        pass


def test_racing_starts_end_in_one_hub(tmp_path):
    data, address = tmp_path / "data", tmp_path / "address"
    command = [
        sys.executable,
        "-m",
        "syncd.hub",
        "--data",
        str(data),
        "--address-file",
        str(address),
    ]
    racing = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
    deadline = time.monotonic() + 20
    while sum(p.poll() is None for p in racing) > 1 or not address.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (winner,) = [p for p in racing if p.poll() is None]
    told = json.loads(address.read_text())
    assert told["pid"] == winner.pid
    assert httpx.get(f"{told['url']}/health").status_code == 200
    winner.terminate()
    assert winner.wait(15) == 0
    assert {p.returncode for p in racing} == {0, BusyError.exit_code}


def test_an_interrupt_ends_it_cleanly_and_takes_the_address_along(start_hub):
    """SIGTERM is how every other test ends its hub."""
    hub = start_hub()
    hub.process.send_signal(signal.SIGINT)
    assert hub.process.wait(15) == 0
    assert not hub.address_file.exists()


def test_the_address_of_another_hub_is_left_alone(start_hub):
    hub = start_hub()
    hub.address_file.write_text('{"pid": 1}')
    hub.stop()
    assert hub.address_file.read_text() == '{"pid": 1}'


def test_a_waiting_poll_does_not_hold_up_the_end(start_hub):
    hub = start_hub()
    answers = []
    with asking(hub) as pets:
        waiting = threading.Thread(
            target=lambda: answers.append(pets.get("changes", after=10**6, wait=50))
        )
        waiting.start()
        time.sleep(1)  # by now it waits, on a line that was open already
        started = time.monotonic()
        hub.stop()
        assert time.monotonic() - started < STOP_SECONDS - 1
        waiting.join()
    assert answers[0]["items"] == [], "it was answered, not cut off"


def test_what_was_begun_is_finished_before_the_end(start_hub):
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        frame = packed([put("a", b"x" * (1 << 20))])
        head, rest = frame[: len(frame) // 2], frame[len(frame) // 2 :]

        def parts():
            yield head
            hub.process.terminate()
            time.sleep(0.7)
            yield rest

        answer = pets.http.post(f"{pets.base}/batch", content=parts())
        assert answer.json()["results"][0]["status"] == "stored"
    assert hub.process.wait(15) == 0


def test_it_keeps_its_port_and_its_content_over_a_restart(start_hub):
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        item = pets.stored("a", b"cat")
    hub.stop()
    again = hub.again("--min-free", "0")
    try:
        assert again.url == hub.url
        assert again.token == hub.token
        with asking(again) as pets:
            assert pets.content(item).content == b"cat"
    finally:
        again.stop()


def test_a_free_port_is_taken_once_and_then_kept(tmp_path):
    ports = []
    for _ in range(2):
        with bound(HubSettings(data=tmp_path)) as listener:
            ports.append(listener.getsockname()[1])
        assert int((tmp_path / "port").read_text()) == ports[0]
    assert ports[0] == ports[1]


def test_a_taken_port_is_a_sentence_where_it_was_asked_for_else_another_is_used(start_hub):
    hub = start_hub()
    port = int(hub.url.rpartition(":")[2])
    hub.stop()
    with socket.create_server(("127.0.0.1", port)):
        asked = run("--data", str(hub.data), "--port", str(port))
        assert asked.returncode == ConfigError.exit_code
        assert str(port) in asked.stderr
        other = hub.again()
        try:
            assert other.url != hub.url
        finally:
            other.stop()


def test_the_system_watches_whether_peers_are_still_there(tmp_path):
    tcp = socket.IPPROTO_TCP
    times = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    with (
        bound(HubSettings(data=tmp_path)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as line,
    ):
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert [line.getsockopt(tcp, name) for name in times] == [30, 10, 3]


def test_a_slow_start_is_no_idle_time(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    settings = HubSettings(data=data, idle_s=600, min_free=0)
    with bound(settings) as listener, closing(Hub(settings)) as hub:
        server = _Server(hub, listener, None)
        server.gate.last -= 3600  # so long ago it was made
        asyncio.run(listened(server, listener))


async def listened(server, listener):
    """Start it as `run` does, and see that it is not idle at once."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup([listener])
    try:
        await server.on_tick(1)
        assert not server.should_exit
    finally:
        await server.shutdown([listener])
        gc.unfreeze()


def test_an_idle_hub_stops_but_never_under_a_waiting_client(start_hub):
    hub = start_hub("--idle", "4", "--min-free", "0")
    with asking(hub) as pets:
        cursor = pets.get("changes")["cursor"]
        started = time.monotonic()
        pets.get("changes", after=cursor, wait=4.5)
        assert time.monotonic() - started >= 4.4, "it was answered because the hub stopped"
        assert hub.process.poll() is None
    assert hub.process.wait(20) == 0
    assert not hub.address_file.exists()


def test_strangers_who_keep_asking_do_not_keep_an_idle_hub(start_hub):
    hub = start_hub("--idle", "2", "--min-free", "0")
    end = time.monotonic() + 30
    while hub.process.poll() is None and time.monotonic() < end:
        with suppress(httpx.HTTPError):
            # 503 where it came just as the hub was to stop.
            assert httpx.get(f"{hub.url}/v1/datasets").status_code in (401, 503)
        time.sleep(0.05)
    assert hub.process.poll() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "hub.example", "127.example.com"])
def test_an_address_others_can_reach_needs_tls_or_a_word(tmp_path, host):
    with pytest.raises(ConfigError, match="other machines"):
        check(HubSettings(data=tmp_path, host=host))
    check(HubSettings(data=tmp_path, host=host, insecure=True))
    with pytest.raises(ConfigError):
        check(HubSettings(data=tmp_path, tls_cert=tmp_path / "cert"))
    with pytest.raises(ConfigError):
        check(HubSettings(data=tmp_path, tls_cert=tmp_path / "no", tls_key=tmp_path / "no"))


def test_an_open_hub_answers_to_addresses_and_given_names_only(tmp_path):
    shut = hosts(HubSettings(data=tmp_path), 80)
    wide = hosts(HubSettings(data=tmp_path, host="0.0.0.0", names=("Hub.example",)), 80)
    for name in ("192.0.2.1:80", "[2001:db8::1]:80", "hub.example", "hub.example:443"):
        assert wide.known(name)
        assert not shut.known(name)
    for name in ("evil.example", "evil.example:80", "", ":", "[", "1.2.3"):
        assert not wide.known(name)
    assert Hosts(port=80).known("127.0.0.1:80")
    assert not Hosts(port=80).known("127.0.0.1:81")


def test_tls_is_spoken_with_the_files_given(start_hub, tmp_path):
    cert, key = self_signed(tmp_path, "IP:127.0.0.1", "DNS:localhost")
    hub = start_hub("--tls-cert", str(cert), "--tls-key", str(key))
    assert hub.url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(cert))
    with httpx.Client(base_url=hub.url, headers=hub.headers, verify=context) as client:
        assert client.put("/v1/datasets/x").status_code == 201
        path = client.post("/v1/link").json()["path"]
        assert "secure" in client.get(path).headers["set-cookie"].lower()


def test_nextcloud_cve_2024_46958_files_of_the_hub_are_its_users_alone(start_hub, tmp_path):
    data = tmp_path / "hub-0" / "data"
    data.mkdir(parents=True, mode=0o755)
    hub = start_hub("--min-free", "0")
    with asking(hub) as pets:
        pets.stored("a", b"cat")
        told = {"digest": digest(b"x"), "size": 1000}
        assert pets.http.post("/v1/uploads", json=told).status_code == 200
    found = list(hub.data.rglob("*"))
    assert len(found) > 5
    assert [path for path in found if path.stat().st_mode & 0o077] == []


def test_a_hub_is_found_again_when_another_that_took_its_address_file_has_gone(tmp_path):
    address = tmp_path / "address"
    command = [sys.executable, "-m", "syncd.hub", "--address-file", str(address), "--data"]
    first = subprocess.Popen([*command, str(tmp_path / "first")], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: named(address) == first.pid)
        second = subprocess.Popen([*command, str(tmp_path / "second")], stderr=subprocess.DEVNULL)
        wait_for(lambda: named(address) == second.pid)
        second.terminate()
        assert second.wait(20) == 0
        wait_for(lambda: named(address) == first.pid)
    finally:
        first.terminate()
        first.wait(20)


def named(address):
    """Whose process the address file names."""
    return json.loads(address.read_text())["pid"] if address.exists() else None


def wait_for(look):
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)
