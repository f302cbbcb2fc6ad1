"""The guards themselves: each must find its kind of leak, and must not see one where none is."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests import guards, isolation, proc


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(guards, "GRACE_SECONDS", 0.2)


def running(*command):
    """A process that is what it will be: before, `ps` shows an empty line."""
    child = subprocess.Popen(command)
    wait_to_be(child.pid, command[0])
    return child


def wait_to_be(pid, program):
    while not proc.command(pid).startswith(program):
        time.sleep(0.005)


def found(home, leak, folders=None):
    with guards.guarded(home, folders or home) as left:
        leak()
    return left


def test_a_clean_test_leaves_nothing_and_costs_next_to_nothing(home):
    times = []
    for _ in range(20):
        started = time.perf_counter()
        assert found(home, lambda: None) == []
        times.append(time.perf_counter() - started)
    assert min(times) < 0.02


@pytest.mark.parametrize("name", ["any", "syncd-watch"])
def test_a_thread_left_running_is_found(home, name):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name=name, daemon=name.startswith("syncd-"))
    left = found(home, thread.start)
    stop.set()
    thread.join()
    assert left == [f"thread {name!r}"]


def test_a_thread_on_its_way_out_is_no_leak(home, monkeypatch):
    monkeypatch.setattr(guards, "GRACE_SECONDS", 3.0)
    thread = threading.Thread(target=time.sleep, args=(0.1,))
    assert found(home, thread.start) == []
    thread.join()


def test_a_descriptor_left_open_is_found_and_closed(home, tmp_path):
    numbers = []
    left = found(home, lambda: numbers.append(os.open(tmp_path, os.O_RDONLY)))
    assert left == [f"descriptor {numbers[0]} on {tmp_path}"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(numbers[0])


def test_a_child_left_running_is_found_and_killed(home):
    children = []
    left = found(home, lambda: children.append(running("sleep", "60")))
    assert left == [f"process {children[0].pid} (sleep 60)"]
    assert children[0].wait(5) == -signal.SIGKILL


def stray():
    """A process of a session of its own, whose parent has gone."""
    command = ["sh", "-c", "setsid sleep 60 >/dev/null & echo $!"]
    pid = int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    wait_to_be(pid, "sleep")
    return pid


def test_a_process_that_left_the_family_is_found_by_its_home(home):
    pids = []
    left = found(home, lambda: pids.append(stray()))
    assert left == [f"process {pids[0]} (sleep 60)"]


def test_a_process_in_the_middle_of_its_exec_is_found_by_its_home_too(home, monkeypatch):
    looks, read = iter(range(3)), proc.read
    pids: list[int] = []

    def at_first_without_environment(pid, name):
        early = pids and (pid, name) == (pids[0], "environ") and next(looks, None) is not None
        return b"" if early else read(pid, name)

    monkeypatch.setattr(proc, "read", at_first_without_environment)
    assert found(home, lambda: pids.append(stray())) == [f"process {pids[0]} (sleep 60)"]


def test_a_process_without_any_environment_is_not_waited_for(home, monkeypatch):
    monkeypatch.setattr(proc, "EXEC_SECONDS", 1000.0)
    with subprocess.Popen(["sleep", "60"], env={}) as child:
        wait_to_be(child.pid, "sleep")
        assert proc.environment(child.pid) == b""
        child.kill()


def test_a_hub_is_stopped_without_complaint_unless_it_does_not_heed(home, tmp_path, monkeypatch):
    ready = tmp_path / "ready"
    heedless = f"import signal, pathlib, time; signal.signal(15, signal.SIG_IGN);\
pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    children = []

    def start(*command):
        children.append(running(sys.executable, "-c", *command, "syncd", "hub"))

    def start_heedless():
        start(heedless)
        while not ready.exists():
            time.sleep(0.01)

    assert found(home, lambda: start("import time; time.sleep(60)")) == []
    monkeypatch.setattr(guards, "STOP_SECONDS", 2.0)
    assert "does not heed SIGTERM" in found(home, start_heedless)[0]
    assert [child.wait(5) for child in children] == [-signal.SIGTERM, -signal.SIGKILL]


def test_settings_left_changed_are_found_and_put_right(home, tmp_path):
    before = os.getcwd()

    def change():
        os.chdir(tmp_path)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    left = found(home, change)
    assert len(left) == 2
    assert (os.getcwd(), signal.getsignal(signal.SIGUSR1)) == (before, signal.SIG_DFL)


def test_a_variable_left_set_is_found(home):
    left = found(home, lambda: os.environ.update(SYNCD_LEFT="1"))
    assert left == ["no $SYNCD_LEFT became $SYNCD_LEFT='1'"]
    del os.environ["SYNCD_LEFT"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_left_is_found_and_taken_away(home, tmp_path):
    mount = ["mount", "-t", "tmpfs", "syncd-test", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let root mount")
    subprocess.run(["umount", tmp_path], check=True)
    left = found(home, lambda: subprocess.run(mount, check=True), tmp_path.parent)
    assert left == [f"mount on {tmp_path}"]
    assert not os.path.ismount(tmp_path)


def test_no_test_sees_the_users_own_folders(home):
    assert all(os.environ[f"XDG_{name}"].startswith(str(home)) for name in isolation.XDG)
    assert Path.home() == home
    assert not [name for name in os.environ if name.startswith("SYNCD_")]


def test_other_machines_are_out_of_reach():
    with socket.socket() as sock, pytest.raises(AssertionError, match="only loopback"):
        sock.connect(("192.0.2.1", 80))
    with pytest.raises(AssertionError, match="only loopback"):
        socket.create_connection(("example.org", 80))
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_a_warning_nobodyannounced_is_a_problem(announced, expect_log, allow_log):
    log = logging.getLogger("syncd.some.part")
    log.warning("disk at %d %%", 99)
    log.info("nothing to see")
    assert announced.problems() == ["not announced: WARNING syncd.some.part: disk at 99 %"]
    allow_log("never needed")
    expect_log(r"^ERROR .*: boom")
    assert "never logged: ^ERROR .*: boom" in announced.problems()
    log.error("boom")
    expect_log("disk at")
    assert announced.problems() == []


def test_a_tree_is_made_from_a_dict(tree):
    root = tree({"a/b.txt": "x", "c": {"d": b"\x00"}})
    assert (root / "a/b.txt").read_text() == "x"
    assert (root / "c/d").read_bytes() == b"\x00"


def test_the_shared_hub_answers_and_asks_for_its_token(hub):
    assert httpx.get(f"{hub.url}/health").json()["ok"] is True
    assert httpx.get(f"{hub.url}/v1/datasets").status_code == 401
    assert httpx.get(f"{hub.url}/v1/datasets", headers=hub.headers).status_code == 200


def test_a_hub_of_ones_own_comes_back_at_the_same_address(start_hub):
    first = start_hub()
    first.stop()
    second = first.again()
    assert (second.url, second.token) == (first.url, first.token)
    second.kill()
