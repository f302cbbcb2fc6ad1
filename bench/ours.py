"""syncd as a contestant: a hub of its own for every run, and the commands that talk to it.

Every run has its own XDG directories below its room, so that state, data and datasets are fresh
and nothing of the user's is touched. The hub answers only for what is durable: nothing is flushed
after it. What it holds is counted by asking it, not by believing the client.
"""

from __future__ import annotations

import compileall
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import BenchError, Program, Sample, free_port, timed
from bench.workload import Tree, settle

SYNCD = (sys.executable, "-m", "syncd")
ROOT = Path(__file__).resolve().parent.parent
DATASET = "bench"
REQUESTS = re.compile(r"\w*requests_total\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub that runs, and how to reach it."""

    server: Program
    env: dict[str, str]
    port: int
    token: str

    def push(self, tree: Tree) -> tuple[Sample, dict[str, Any]]:
        """Push the tree as one process; return the cost and the report it printed."""
        sample = self.syncd("push", str(tree.root), "--to", DATASET, "--json", "--quiet")
        try:
            report: dict[str, Any] = json.loads(sample.output)
            bad = not report["success"] or report["failed"] or report["renamed"]
        except (ValueError, KeyError) as error:
            raise BenchError(f"the push printed no report: {sample.output[:2000]!r}") from error
        if bad:
            raise BenchError(f"the push did not do well: {sample.output[:2000]}")
        return sample, report

    def syncd(self, *arguments: str) -> Sample:
        return timed([*SYNCD, *arguments], server=self.server, env=self.env)

    def holdings(self) -> tuple[int, int]:
        """How many items the dataset holds, and how many bytes."""
        answer = self.ask(f"/v1/datasets/{DATASET}")
        return answer.get("items", 0), answer.get("bytes", 0)

    def requests(self) -> int:
        """How many requests the hub has answered since it started."""
        lines = self._get("/metrics").decode().splitlines()
        counts = [line.split()[-1] for line in lines if REQUESTS.match(line)]
        if not counts:
            raise BenchError("the hub's metrics do not count requests")
        return int(sum(map(float, counts)))

    def ask(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._get(path))
        return answer

    def watch(self, folder: Path, log: Path) -> Program:
        """Start the daemon on a folder."""
        argv = [*SYNCD, "watch", str(folder), "--to", DATASET, "--quiet"]
        return Program(argv, log=log, env=self.env)

    def _get(self, path: str) -> bytes:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            link.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = link.getresponse()
            body = answer.read()
        finally:
            link.close()
        if answer.status not in (200, 404):
            raise BenchError(f"{path} answered {answer.status}: {body[:500]!r}")
        return body


@contextmanager
def hub(room: Path) -> Iterator[Hub]:
    """Start a hub with fresh data below `room`."""
    env, port = _private(room), free_port()
    argv = [*SYNCD, "hub", "--data", str(room / "hub"), "--port", str(port)]
    with Program(argv, log=room / "hub.log", env=env) as server:
        server.await_port(port)
        yield Hub(server=server, env=env, port=port, token=_token(room, server))


def carry(tree: Tree, room: Path) -> Sample:
    """Upload a tree to a fresh hub; raise BenchError unless every byte is there afterwards."""
    load = tree.workload
    with hub(room) as ours:
        sample, report = ours.push(tree)
        told = (report["attempted"], report["uploaded"], report["bytes"])
        held = ours.holdings()
        settle(tree)
    if told != (load.files, load.files, load.bytes) or held != (load.files, load.bytes):
        raise BenchError(f"{load} became {report}, and the hub holds {held}")
    return sample


def available() -> bool:
    """Whether it runs. It is compiled first, as an installation does: no run is to pay for it."""
    compileall.compile_dir(ROOT / "syncd", quiet=2)
    return b"push" in subprocess.run([*SYNCD, "--help"], cwd=ROOT, capture_output=True).stdout


def _private(room: Path) -> dict[str, str]:
    kinds = ("STATE_HOME", "DATA_HOME", "CONFIG_HOME", "CACHE_HOME", "RUNTIME_DIR")
    env = {"PATH": os.environ["PATH"], "HOME": str(room), "PYTHONPATH": str(ROOT)}
    for kind in kinds:
        folder = room / "xdg" / kind.lower()
        folder.mkdir(parents=True, mode=0o700)
        env[f"XDG_{kind}"] = str(folder)
    return env


def _token(room: Path, server: Program) -> str:
    """What the hub wrote for commands of the same user, once it has written it."""
    address = room / "xdg" / "state_home" / "syncd" / "hub.json"
    end = time.monotonic() + 10
    while not address.exists():
        server.check()
        if time.monotonic() > end:
            raise BenchError("the hub did not write its address below the state directory")
        time.sleep(0.02)
    token: str = json.loads(address.read_text())["token"]
    return token
