"""What a mount counts, asked of a real one by `syncd metrics`; and how much it logs."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from prometheus_client.parser import text_string_to_metric_families

from tests.isolation import environment


def told(home, *words):
    done = subprocess.run(
        [sys.executable, "-m", "syncd", *words], env=environment(home), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def numbers(home):
    said = told(home, "metrics")
    return {
        (sample.name, sample.labels.get("request")): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


def asked(home):
    found = numbers(home)
    return [found["syncd_mount_requests_total", word] for word in ("reads", "attributes")]


def settled(home):
    """What the kernel asked, once our own looks at what was read are over."""
    before = None
    while (now := asked(home)) != before:
        before = now
        time.sleep(0.2)
    return now


def test_what_was_read_and_listed_the_kernel_does_not_ask_again(mount, dataset):
    files = {f"{n % 3}/{n}.jpg": os.urandom(50_000) for n in range(12)}
    dataset.put(files)
    mounted = mount()
    home = mounted.log_file.parent

    def read():
        assert {key: (mounted / key).read_bytes() for key in files} == files

    def epoch():
        read()
        subprocess.run(["ls", "-lR", str(mounted.point)], check=True, stdout=subprocess.DEVNULL)

    epoch()
    first = settled(home)
    assert min(first) >= len(files)
    read()
    again = settled(home)
    assert again[0] - first[0] <= 1, "the kernel may have given up a page, and not more"
    epoch()  # a listing makes the kernel ask once for its folder's time
    second = settled(home)
    assert second[0] - again[0] <= 1
    given_up = second[0] - again[0]  # a page that is read anew is a question more
    assert second[1] - again[1] <= 4 + given_up
    mounted.stop()


def test_a_mount_tells_its_requests_and_what_its_cache_had(mount, dataset, tmp_path):
    dataset.put({"a/one.jpg": os.urandom(50_000)})
    mounted = mount()
    home = mounted.log_file.parent
    before = numbers(home)
    for _ in range(2):
        fd = os.open(mounted / "a/one.jpg", os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            assert len(os.read(fd, 50_000)) == 50_000
        finally:
            os.close(fd)
    os.listdir(mounted / "a")
    found = numbers(home)
    assert found["syncd_mount_read_bytes_total", None] >= 50_000
    assert found["syncd_mount_requests_total", "reads"] >= 1
    assert found["syncd_mount_requests_total", "listings"] >= 1
    looks = ("syncd_mount_cache_hits_total", "syncd_mount_cache_misses_total")
    assert sum(found[name, None] - before[name, None] for name in looks) >= 1
    assert found["syncd_mount_cache_limit_bytes", None] > 0
    failed = found["syncd_mount_errors_total", None]
    assert not (mounted / "a/none.jpg").exists()
    assert numbers(home)["syncd_mount_errors_total", None] > failed
    mounted.stop()
    assert numbers(home) == {}
    assert list((home / "state").rglob("control.sock")) == []


def test_how_much_it_logs_is_changed_while_it_runs(mount, dataset):
    dataset.put({"a/one.jpg": b"1"})
    mounted = mount()
    home = mounted.log_file.parent
    assert told(home, "log-level", "debug") == f"{mounted.point}: the log level is debug\n"
    assert told(home, "log-level") == f"{mounted.point}: the log level is debug\n"
    assert "is no level" in told(home, "log-level", "loud")
    mounted.stop()
    assert "no daemon runs" in told(home, "log-level")
