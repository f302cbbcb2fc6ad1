"""What is missing for a mount is named, with the way out: each thing taken away for real, in a
mount namespace that nobody else sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.isolation import environment
from tests.running import RunningHub

NOBODY = "65534"
LIBRARY = "libfuse2 (libfuse2t64 on newer systems)"
PROGRAM = "fuse3 (for fusermount)"
WITHOUT_LIBRARY = 'mount --bind /dev/null "$LIBFUSE"'
WITHOUT_DEVICE = """
mount -t tmpfs tmpfs /mnt
for name in null zero urandom; do touch /mnt/$name; mount --bind /dev/$name /mnt/$name; done
mount --rbind /mnt /dev
"""
RIGHTS = "+dac_override,+dac_read_search"
AS_NOBODY = (
    f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups"
    f" --inh-caps {RIGHTS} --ambient-caps {RIGHTS}"
)
"""Somebody who is not root, and can read the interpreter wherever it lies."""


@pytest.fixture
def apart(fuse: None, tmp_path: Path):
    """`apart(script, PATH=...)`: run a shell script as root among mounts of its own; `$SYNCD` is
    the program."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if os.geteuid() or tried.returncode:
        pytest.skip(f"no mount namespace to be had: {tried.stderr.decode().strip()}")

    def run(script: str, **env: str) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        found = {"SYNCD": f"{sys.executable} -m syncd", "LIBFUSE": library(), "HERE": str(tmp_path)}
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc", script],
            capture_output=True, text=True, check=False, timeout=60,
            env=environment(home) | found | env,
        )  # fmt: skip

    return run


def library() -> str:
    """Where libfuse lies: this process has it loaded."""
    import fuse  # noqa: F401 - loads it

    lines = Path("/proc/self/maps").read_text().splitlines()
    return next(line.split()[-1] for line in lines if "libfuse.so.2" in line)


@pytest.mark.parametrize(
    ("script", "env", "said"),
    [
        (WITHOUT_LIBRARY, {}, f"needs {LIBRARY}: apt-get install them"),
        ("", {"PATH": "none"}, f"needs {PROGRAM}: apt-get install them"),
        (WITHOUT_LIBRARY, {"PATH": "none"}, f"needs {LIBRARY} and {PROGRAM}: apt-get install them"),
        (WITHOUT_DEVICE, {}, "needs /dev/fuse: load the kernel's module with `modprobe fuse`"),
    ],
    ids=["library", "program", "both", "device"],
)
def test_what_is_missing_is_named(apart, tmp_path, script, env, said):
    if env:  # a PATH with everything but fusermount
        (tmp_path / "bin").mkdir()
        for name in ("mount", "sh"):
            (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
        (tmp_path / "bin/unshare").symlink_to(shutil.which("unshare") or "")
        env = {"PATH": str(tmp_path / "bin")}
    done = apart(f'{script}\n$SYNCD mount signs "$HERE/mnt"', **env)
    assert done.returncode == 2, done
    assert said in done.stderr
    assert not (tmp_path / "mnt").exists()


def test_fusepy_that_is_not_installed(apart, tmp_path):
    (tmp_path / "fuse.py").write_text("raise ImportError")
    done = apart('$SYNCD mount signs "$HERE/mnt"', PYTHONPATH=str(tmp_path))
    assert (done.returncode, "install syncd with its mount extra" in done.stderr) == (2, True), done


def device(mode: str) -> str:
    """Script: /dev/fuse with these rights, and a place where anybody can make a mount point."""
    return f"""
        mount -t tmpfs -o mode=1777 tmpfs /mnt
        mknod -m {mode} /mnt/fuse c 10 229
        mount --bind /mnt/fuse /dev/fuse
    """


def test_a_device_that_this_user_may_not_open(apart):
    done = apart(f"{device('600')}\n{AS_NOBODY} $SYNCD mount signs /mnt/point")
    assert (done.returncode, "this user may not open" in done.stderr) == (2, True), done


def test_only_root_shows_files_of_others(apart):
    done = apart(f"{device('666')}\n{AS_NOBODY} $SYNCD mount --uid 1234 signs /mnt/point")
    assert (done.returncode, "--uid 1234: only root can mount" in done.stderr) == (2, True), done


def test_without_the_right_to_mount(apart, hub: RunningHub, dataset, name):
    script = f'setpriv --bounding-set -sys_admin $SYNCD mount {name} "$HERE/mnt"'
    done = apart(script, SYNCD_REMOTE=hub.url, SYNCD_TOKEN=hub.token)
    assert done.returncode == 1, done
    assert "mount failed: Operation not permitted" in done.stderr
    assert "in a container it needs the right to mount" in done.stderr


@pytest.mark.parametrize("allowed", [False, True])
def test_others_may_look_where_root_allowed_it(
    apart, tmp_path, hub: RunningHub, dataset, name, allowed
):
    dataset.put({"b.jpg": b"picture"})
    conf = tmp_path / "fuse.conf"
    conf.write_text("# user_allow_other\n" + "user_allow_other\n" * allowed)
    done = apart(
        f"""
        mount --bind "$HERE/fuse.conf" /etc/fuse.conf
        {device("666")}
        {AS_NOBODY} $SYNCD mount --allow-other {name} /mnt/point
        setpriv --reuid 1234 --regid 1234 --clear-groups cat /mnt/point/b.jpg
        {AS_NOBODY} $SYNCD umount /mnt/point
        """,
        SYNCD_REMOTE=hub.url, SYNCD_TOKEN=hub.token,
    )  # fmt: skip
    if allowed:
        assert (done.returncode, done.stdout) == (0, "picture"), done
        assert "mounted on /mnt/point" in done.stderr
    else:
        assert (done.returncode, done.stdout) == (2, ""), done
        assert "--allow-other: root has not allowed it on this machine" in done.stderr
        assert "add the line user_allow_other to /etc/fuse.conf" in done.stderr
