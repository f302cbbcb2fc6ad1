"""What is said to systemd, held against a socket as systemd has it."""

from __future__ import annotations

import socket

import pytest

from syncd.config.places import Unit, inherited, unit
from syncd.daemon.notify import Notifier


@pytest.fixture
def manager(tmp_path):
    """A service manager's socket: `heard()` is what came since it was asked last."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.setblocking(False)

        def heard() -> list[str]:
            said = []
            try:
                while True:
                    said.append(line.recv(4096).decode())
            except BlockingIOError:
                return said

        heard.address = str(tmp_path / "notify")  # type: ignore[attr-defined]
        yield heard


def test_all_that_can_be_said(manager):
    notifier = Notifier(Unit(address=manager.address, watchdog_s=60))
    notifier.ready()
    notifier.status("one\nline")
    notifier.status("one\nline")
    notifier.status("another")
    notifier.reloading()
    notifier.stopping()
    said = manager()
    assert said[:3] == ["READY=1", "STATUS=one line", "STATUS=another"]
    assert said[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[4:] == ["STOPPING=1"]


def test_the_watchdog_is_fed_in_time_and_not_all_the_time(manager):
    notifier = Notifier(Unit(address=manager.address, watchdog_s=60))
    for _ in range(50):
        notifier.alive()
    assert manager() == ["WATCHDOG=1"]
    notifier = Notifier(Unit(address=manager.address))
    notifier.alive()
    assert manager() == []


def test_nobody_listens_and_nothing_breaks(tmp_path):
    for address in (None, str(tmp_path / "gone"), "@syncd-nobody-is-here"):
        notifier = Notifier(Unit(address=address, watchdog_s=1))
        notifier.ready()
        notifier.alive()
        assert notifier.listened_to == (address is not None)


def test_a_name_in_the_kernels_own_space():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind("\0syncd-test-notify")
        line.settimeout(2)
        Notifier(Unit(address="@syncd-test-notify")).ready()
        assert line.recv(100) == b"READY=1"


def test_the_environment_of_a_unit():
    assert unit({}) == Unit()
    told = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}
    assert unit(told) == Unit(address="/run/x"), "the watchdog is another process's"
    del told["WATCHDOG_PID"]
    assert unit(told) == Unit(address="/run/x", watchdog_s=60)
    assert unit({**told, "WATCHDOG_USEC": "soon"}).watchdog_s is None


def test_a_child_is_not_the_one_that_systemd_listens_to():
    given = {"HOME": "/h", "NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1"}
    assert inherited({"A": "b"}, given) == {"HOME": "/h", "A": "b"}
