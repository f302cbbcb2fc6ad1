"""The log of a real daemon: read by nobody, by a program, and by whoever looks for secrets."""

from __future__ import annotations

import json
import os
import subprocess

from tests.e2e.program import COMMAND, DEADLINE
from tests.e2e.test_watch import picture


def test_a_daemon_whose_log_nobody_reads_goes_on(root, syncd, shelf, home):
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        process = subprocess.Popen(
            [*COMMAND, "watch", root, "--to", shelf.name], stderr=writer,
            env={**os.environ, **syncd.extra},
        )  # fmt: skip
        try:
            for number in range(20):
                (root / f"{number}.jpg").write_bytes(picture(number))
            shelf.becomes({f"{number}.jpg": picture(number) for number in range(20)})
            process.terminate()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(reader)
        os.close(writer)


def test_a_program_reads_every_line_and_finds_no_secret(root, syncd, watched, shelf, hub):
    running = watched("--log-json")
    syncd("log-level", "debug")
    (root / "a.jpg").write_bytes(picture("a"))
    shelf.becomes({"a.jpg": picture("a")})
    running.until('"stored"')
    said = running.stop()
    lines = [json.loads(line) for line in said.splitlines()]
    [stored] = [line for line in lines if line["event"] == "stored"]
    assert stored["path"] == "a.jpg"
    assert stored["bytes"] == len(picture("a"))
    assert hub.token not in said
