"""Time and memory of a mount of N synthetic items: `python -m tests.mount.million N FOLDER`.

The first run fills the index in FOLDER, the next ones mount it and look at it with ls and find.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from syncd.model import Item
from syncd.mount.follow import Follower
from syncd.mount.index import Index
from syncd.mount.operations import Branch, Look, Operations, Session
from syncd.mount.tree import Tree
from syncd.mount.turning import Turner
from syncd.remotes.base import DatasetInfo, Traits

PER_FOLDER = 100_000
OPTIONS: dict[str, Any] = {
    "foreground": True, "fsname": "million", "subtype": "syncd", "use_ino": True,
    "kernel_cache": True, "attr_timeout": 3600, "entry_timeout": 3600, "default_permissions": True,
}  # fmt: skip


class Many:
    """A dataset of N items, and a reader that needs none."""

    def __init__(self, number: int) -> None:
        self.info = DatasetInfo(id="many", name="many", items=number)
        self.traits = Traits()

    def items(self, folder: str = "") -> Iterator[Item]:
        for n in range(self.info.items):
            yield Item(
                key=f"f{n // PER_FOLDER:03}/picture-{n:07}.jpg", id=f"{n:032x}", version=1,
                digest=f"{n:064x}", size=1000 + n % 5000, modified_ns=1_600_000_000_000_000_000 + n,
            )  # fmt: skip

    patience_s = 0.0

    def of(self, items: Sequence[Item]) -> dict[str, bytes]:
        return {}

    def read(self, item: Item, offset: int, size: int) -> bytes:
        return bytes(size)


def memory() -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(f"{int(x.split()[1]) // 1024} MB" for x in lines if x.startswith("VmRSS"))


def main(number: int, folder: Path) -> None:
    point = folder / "mnt"
    point.mkdir(parents=True, exist_ok=True)
    many = Many(number)
    begun = time.monotonic()
    tree = Tree(Index(folder / "index.db", "many"))
    filled = tree.index.filled
    Follower(tree, cast(Any, many), Turner(tree), many).fill()
    operations = Operations(Look(uid=0, gid=0))
    operations.add("", Branch(tree=tree, reads=many))
    mount = threading.Thread(target=lambda: Session(operations, str(point), **OPTIONS))
    gc.freeze()
    gc.disable()
    mount.start()
    operations.started.wait()
    print(f"mounted {time.monotonic() - begun:.2f} s {memory()}", flush=True)
    try:
        for command in looks(point) if filled else ():
            begun = time.monotonic()
            subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)
            print(f"{command} {time.monotonic() - begun:.2f} s {memory()}", flush=True)
    finally:
        subprocess.run(["fusermount", "-u", str(point)], check=True)
        mount.join()
        tree.index.close()


def looks(point: Path) -> tuple[str, ...]:
    one = f"{point}/f000"
    every = f"find {point} -type f"
    return (f"ls {one}", f"ls {one}", f"ls -l {one}", f"ls -l {one}", every, f"{every} -size +5k")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
