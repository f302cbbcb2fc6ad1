"""What a person types on an installed machine, word for word as docs/operate.md has it."""

from __future__ import annotations

from pathlib import Path

from tests.systemd.conftest import SYNCD, eventually

OPERATE = Path(__file__).parents[2] / "docs" / "operate.md"
SAID = "drop files into"


def lines() -> list[str]:
    """The lines for the machine's service, without their remarks and without sudo, for who types
    here is root."""
    text = OPERATE.read_text().partition("To look into the state of the machine's service:")[2]
    block = text.partition("```sh\n")[2].partition("```")[0]
    found = [line.partition("  #")[0].strip() for line in block.splitlines()]
    return [line.removeprefix("sudo -E ").removeprefix("sudo ") for line in found]


def test_the_lines_for_the_person_on_call_work(box):
    known = lines()
    exports = "; ".join(line for line in known if line.startswith("export"))

    def typed(begin: str, code: int | None = 0) -> str:
        [line] = [one for one in known if begin in one and not one.startswith("export")]
        words = line.replace("syncd ", f"{' '.join(map(str, SYNCD))} ", 1)
        if line.startswith("SYNCD_"):
            words = line.replace(" syncd ", f" {' '.join(map(str, SYNCD))} ")
        said: str = box.sh(f"{exports}; {words}", code=code)
        return said

    box.drop("first.jpg", b"1")
    box.arrives("first.jpg")
    healthy = [
        line.split()
        for line in typed("syncd doctor", code=None).splitlines()
        if not line.startswith("to mend")
    ]
    checks = [(words[0] == "ok", line) for words in healthy for line in [" ".join(words)]]
    ours = [ok for ok, line in checks if any(w in line for w in ("remote", "unit", "config"))]
    assert len(ours) >= 6, healthy
    assert all(ours), healthy
    assert "syncd-mount@mnt-scans.service" in str(healthy)
    told = typed("syncd status")
    assert "/srv/scans" in told
    for what in ("state file", "history", "hub uploads", "hub thumbnails", "hub:", "mount blocks"):
        assert what in told, "each thing that grows has its line"
    assert "paused" in typed("syncd pause")
    box.run("systemctl", "restart", "syncd.service")
    box.drop("held.jpg", b"2")
    eventually(lambda: "1 mirror," in box.show("syncd.service", "StatusText"))
    assert "paused" in typed("syncd status")
    assert "held.jpg" not in box.items()
    assert "resumed" in typed("syncd resume")
    box.arrives("held.jpg")
    assert "syncd_mount_requests_total" in typed("syncd metrics")
    of_mounts = "SYNCD_STATE_DIR=/var/lib/syncd-mount"
    said = box.sh(f"{of_mounts} {' '.join(map(str, SYNCD))} log-level debug")
    assert said == "/mnt/scans: the log level is debug\n"
