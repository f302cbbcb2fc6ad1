"""Installing, booting, stopping, uninstalling: the ends of a service's life."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from tests.systemd.box import PYTHON
from tests.systemd.conftest import SCANS, SHOWN, SYNCD, Machine, eventually

CONFIG = "/etc/syncd/config.toml"
PLACES = "/etc /var/lib /var/cache /srv /mnt /home /run/systemd/system /run/credentials /run/syncd*"
BIG = 60_000_000
ASK = """
import sys, urllib.request as u
said = u.urlopen(u.Request(sys.argv[1], headers={"Authorization": sys.argv[2]}))
print(said.read().decode())
"""


def listing(box: Machine) -> set[str]:
    """What lies where services leave something."""
    return set(box.sh(f"find {PLACES} -xdev 2>/dev/null", code=None).splitlines())


def received(box: Machine) -> float:
    """How many bytes of bodies the hub was sent since it started."""
    _, url, _, token = box.hub
    bearer = f"Bearer {box.path(token).read_text().strip()}"
    said = box.run(PYTHON, "-c", ASK, f"{url}/metrics", bearer)
    found = re.search(r"^syncd_hub_received_bytes_total ([\d.e+]+)$", said, re.MULTILINE)
    assert found, said
    return float(found[1])


@pytest.mark.parametrize("folder", [SCANS, SCANS / "deep"], ids=["the disk", "a folder of it"])
def test_a_disk_that_comes_late_after_a_reboot_costs_nothing(own, folder):
    mount = f"mkdir -p /srv/.disk/deep && mount --bind /srv/.disk {SCANS} && chown -R cam: {SCANS}"
    own.sh(mount)
    own.install(folder)
    dataset = folder.name
    for number in range(30):
        own.drop(f"{number}.jpg", b"%d" % number, folder)
    eventually(lambda: len(own.items(dataset)) == 30)
    own.halt()
    own.boot()
    assert own.path(SCANS).exists()
    assert not list(own.path(SCANS).iterdir()), "the disk is not there after the boot"
    eventually(lambda: "paused" in status_of(own))
    told = status_of(own)
    assert "another disk or a new folder" in told or "the folder is missing" in told
    assert own.show("syncd.service", "ActiveState") == "active"
    time.sleep(3)
    assert len(own.items(dataset)) == 30
    own.sh(mount)
    own.drop("late.jpg", b"late", folder)
    own.arrives("late.jpg", dataset)
    assert len(own.items(dataset)) == 31
    eventually(lambda: "paused" not in status_of(own))
    written = ("nsenter", "-t", str(own.pid("syncd.service")), "-m", "touch", folder / "late.jpg")
    own.run(*written)


def status_of(box: Machine) -> str:
    return box.show("syncd.service", "StatusText")


@pytest.mark.slow
def test_stop_during_a_big_upload_is_quick_and_the_upload_goes_on_where_it_was(own):
    own.install(SCANS)
    config = own.path(CONFIG)
    fast = config.read_text()
    config.write_text(fast + 'bandwidth = "1 MB/s"\n')
    own.run("systemctl", "reload", "syncd.service")
    content = os.urandom(1_000_000) * (BIG // 1_000_000)
    own.drop("big.mp4", content)
    uploads = own.path("/var/lib/private/syncd-hub/hub/uploads")

    def sent() -> int:
        return max((file.stat().st_size for file in uploads.glob("*")), default=0)

    eventually(lambda: sent() > 0)
    before = time.monotonic()
    own.run("systemctl", "stop", "syncd.service")
    assert time.monotonic() - before < 30
    kept = sent()
    assert 0 < kept < BIG
    assert own.items() == {}
    config.write_text(fast)
    own.run("systemctl", "start", "syncd.service")
    own.arrives("big.mp4")
    assert own.items()["big.mp4"] == BIG
    assert received(own) < BIG * 1.2, "it did not begin anew"


def test_uninstalling_leaves_nothing_but_the_data(own):
    own.syncd("config", code=None)  # what Python itself leaves at its first run
    before = listing(own)
    own.install(SCANS, "--mount", f"scans={SHOWN}")
    own.drop("kept.jpg", b"kept")
    own.arrives("kept.jpg")
    eventually(lambda: "kept.jpg" in own.run("ls", SHOWN, user="guest", code=None))
    own.run("systemd-run", "-q", "-u", "sits-in-it", f"--working-directory={SHOWN}", "sleep", "60")
    before_it = time.monotonic()
    said = own.syncd("service", "uninstall")
    assert time.monotonic() - before_it < 30
    assert "kept /var/lib/syncd-hub: all datasets of the hub" in said
    own.run("systemctl", "stop", "sits-in-it")
    left = {line for line in listing(own) - before if "/syncd-hub" not in line}
    assert left == {"/srv/scans/kept.jpg"}
    assert own.path("/var/lib/private/syncd-hub/hub").exists()
    assert "syncd" not in own.run("systemctl", "list-units", "--all", "syncd*", "--no-legend")


def test_folders_and_mounts_may_be_called_anything(own):
    folder, shown = Path("/srv/Müllers 100% $HOME/x y"), Path("/mnt/Ünser Bild %i -x\\y")
    own.run("mkdir", "-p", folder)
    own.run("chown", "-R", "cam:", "/srv")
    own.install(folder, "--mount", f"x y={shown}")
    own.drop("a b%.jpg", b"anything", folder)
    eventually(lambda: "a b%.jpg" in own.run("ls", shown, user="guest", code=None))
    seen = ("nsenter", "-t", str(own.pid("syncd.service")), "-m", "touch")
    own.run(*seen, folder / "a b%.jpg")
    assert "Read-only" in own.run(*seen, "/srv/elsewhere", code=1)
    assert all("active" in line for line in own.syncd("service", "status").splitlines())
    own.syncd("service", "uninstall")
    assert not own.path(shown).exists()
    assert [path.name for path in own.path(folder).iterdir()] == ["a b%.jpg"]


def test_a_dry_run_shows_everything_and_changes_nothing(own):
    before = listing(own)
    said = own.install("--dry-run", SCANS, "--mount", f"scans={SHOWN}")
    for part in ("User=cam", "ReadWritePaths=-/srv/scans", "mkdir -p /mnt/scans", "(a secret)",
                 "chown cam /mnt/scans", "enable syncd-hub.service",
                 "restart --no-block syncd.service", "[[mount]]"):  # fmt: skip
        assert part in said
    assert listing(own) == before


def test_a_user_installs_it_without_root(own):
    own.sh("loginctl enable-linger guest")
    eventually(lambda: own.path(f"/run/user/{own._uid('guest')}/systemd/private").exists())
    own.sh("mkdir /home/guest/pics /home/guest/shown", user="guest")
    own.sh("cd; mkdir -p .cache .local/state .local/share .config/systemd/user", user="guest")
    before = set(own.run("find", "/home/guest").splitlines())
    pics, shown = Path("/home/guest/pics"), Path("/home/guest/shown")
    own.syncd("service", "install", pics, "--mount", f"pics={shown}", user="guest")
    own.drop("mine.jpg", b"mine", pics)
    eventually(lambda: "mine.jpg" in own.run("ls", shown, user="guest", code=None))
    assert own.path("/home/guest/.config/syncd/token").stat().st_mode & 0o777 == 0o600
    mount = own.run("systemd-escape", "--path", "--template=syncd-mount@.service", shown).strip()
    for unit in ("syncd.service", "syncd-hub.service", mount):
        credential = f"/run/user/{own._uid('guest')}/credentials/{unit}/token"
        assert own.run("stat", "-c", "%a %s %U", credential).split() == ["400", "44", "guest"]
    said = own.syncd("service", "uninstall", user="guest")
    data = "/home/guest/.local/share/syncd"
    assert said.splitlines() == [f"kept {data}/hub: all datasets of the hub"]
    after = set(own.run("find", "/home/guest").splitlines())
    assert {line for line in after - before if not line.startswith(data)} == {f"{pics}/mine.jpg"}
    assert not list(own.path(f"/run/user/{own._uid('guest')}/credentials").iterdir())
    left = own.sh("systemctl --user list-units --all 'syncd*' --no-legend", user="guest")
    assert left.strip() == ""


def test_an_interpreter_that_the_user_cannot_reach_is_told(own):
    own.sh("chmod 700 /root")
    words = [*SYNCD, "service", "install", str(SCANS)]
    if not os.path.realpath(sys.executable).startswith("/root/"):
        pytest.skip("the interpreter of this run lies where every user can reach it")
    said = own.run(*words, code=2)
    assert "the user cam cannot run" in said
    assert "/opt" in said
