"""A process that makes files: `python -m bench.writer FOLDER COUNT PER_SECOND SEED`.

Prints one JSON object, name to nanoseconds since 1970, taken just before each file's close. The
gaps are random and even, with the mean that gives the rate; rate 0 leaves no gaps.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

SIZE = 8192


def write(folder: Path, count: int, rate: float, seed: int) -> dict[str, int]:
    source = random.Random(seed)
    closed = {}
    bodies = [source.randbytes(SIZE) for _ in range(count)]
    for index, body in enumerate(bodies):
        if rate:
            time.sleep(source.uniform(0, 2 / rate))
        name = f"fresh-{seed}-{index:05}.jpg"
        fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, body)
        closed[name] = time.time_ns()
        os.close(fd)
    return closed


if __name__ == "__main__":
    folder, count, rate, seed = sys.argv[1:]
    print(json.dumps(write(Path(folder), int(count), float(rate), int(seed))))
