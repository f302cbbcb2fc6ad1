"""What a daemon costs that has nothing to do: `syncd run` over 100,000 watched files, and its hub.

CPU is that of both processes over two minutes of nothing; memory is the daemon's alone. The daemon
is started anew on a tree that is in sync, as after a boot.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench import contest, ours, workload
from bench.measure import Program
from bench.memory import in_sync, steady_size
from bench.report import Claim, Section, megabytes
from bench.workload import WORKLOADS

SHARE = 1 / 3
SECONDS = 120.0
CPU_S = 0.6
LIMIT = 150e6


def measure(*, work: Path, scale: float) -> Section:
    """Watch a third of W4, be in sync, start anew, then wait."""
    tree = workload.make(WORKLOADS["W4"].scaled(scale * SHARE), work / "tree")
    contest.say(f"idle over {tree.workload}")
    with workload.removed(tree), contest.room(work, 0) as room, ours.hub(room) as hub:
        file = room / "config.toml"
        file.write_text(_configuration(hub, tree.root))
        env = {**hub.env, "BENCH_TOKEN": hub.token}
        argv = [*ours.SYNCD, "run", "--config", str(file)]
        with Program(argv, log=room / "first.log", env=env) as daemon:
            in_sync(hub, tree, daemon)
            steady_size(daemon)
        with Program(argv, log=room / "second.log", env=env) as daemon:
            steady_size(daemon)
            # The longest of the looks now and then that follow a start are to be over.
            time.sleep(20 * min(scale, 1))
            before = (daemon.cpu(), hub.server.cpu())
            seconds = max(5.0, SECONDS * min(scale, 1))
            time.sleep(seconds)
            daemon.check()
            mine, its = daemon.cpu() - before[0], hub.server.cpu() - before[1]
            size = daemon.resident()
    return _section(tree.workload.files, seconds, mine, its, size)


def _section(files: int, seconds: float, mine: float, its: float, size: int) -> Section:
    return Section(
        heading="A daemon with nothing to do",
        columns=["files", "s", "CPU s of the daemon", "CPU s of the hub", "MB of the daemon"],
        rows=[[f"{files:,}", f"{seconds:.0f}", f"{mine:.2f}", f"{its:.2f}", megabytes(size)]],
        claims=[
            Claim(text=f"CPU in {SECONDS:.0f} s", value=(mine + its) * SECONDS / seconds,
                  must=CPU_S, sense="at most", unit="s"),
            Claim(text="memory", value=size / 1e6, must=LIMIT / 1e6, sense="at most", unit="MB"),
        ],
        raw={"files": files, "seconds": seconds, "daemon": mine, "hub": its, "size": size},
    )  # fmt: skip


def _configuration(hub: ours.Hub, root: Path) -> str:
    return (
        f'remote = "hub-of-this-run"\n[remotes.hub-of-this-run]\n'
        f'url = "http://127.0.0.1:{hub.port}"\ntoken = {{ env = "BENCH_TOKEN" }}\n'
        f'[[mirror]]\nroot = "{root}"\ndataset = "{ours.DATASET}"\n'
    )
