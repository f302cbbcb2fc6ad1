"""The block cache: bounded, private, kept over kills, and never a wrong byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import BusyError
from syncd.mount.blocks import cache as module
from syncd.mount.blocks.cache import BlockCache
from tests.isolation import environment

MIB = 1 << 20


def name(text) -> str:
    return sha256(str(text).encode()).hexdigest()


def body(number: int, size: int = 1000) -> bytes:
    return random.Random(number).randbytes(size)


def used(folder) -> int:
    return sum(file.stat().st_size for file in (folder / "segments").iterdir())


def test_what_is_put_is_read_in_any_part(opened):
    cache = opened()
    assert cache.read(name(1), 0, 0, 10) is None
    cache.put_all([(name(1), 0, body(1)), (name(1), 3, body(2)), (name(2), 0, b"")])
    assert cache.read(name(1), 0, 0, 5000) == body(1)
    assert cache.read(name(1), 3, 990, 5) == body(2)[990:995]
    assert cache.read(name(1), 3, 990, 50) == body(2)[990:]
    assert cache.read(name(1), 3, 5000, 50) == b""
    assert cache.read(name(1), 1, 0, 10) is None
    assert cache.has(name(1), 3)
    assert not cache.has(name(1), 4)
    assert cache.blocks(name(1)) == {0, 3}
    cache.forget(name(1))
    assert cache.read(name(1), 0, 0, 10) is None
    assert cache.blocks(name(1)) == set()


def test_it_is_private_and_has_one_owner(folder, opened):
    folder.mkdir(mode=0o755)
    cache = opened()
    cache.put(name(1), 0, body(1))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(f.stat().st_mode & 0o077 == 0 for f in (folder / "segments").iterdir())
    with pytest.raises(BusyError, match="own folder"):
        BlockCache(folder, MIB)
    assert cache.read(name(1), 0, 0, 10) == body(1)[:10]
    cache.close()
    assert opened().read(name(1), 0, 0, 10) == body(1)[:10]


def test_it_keeps_within_its_bound_and_gives_up_what_was_not_used(folder, opened):
    cache = opened(MIB)
    cache.put(name("kept"), 0, body(0, 5000))
    for number in range(1000):
        cache.put(name(number), 0, body(number, 5000))
        assert cache.read(name("kept"), 0, 0, 9) == body(0, 5000)[:9]
        assert cache.bytes <= MIB
    assert used(folder) <= MIB
    held = [n for n in range(1000) if cache.read(name(n), 0, 0, 5000) == body(n, 5000)]
    assert len(held) > 150
    assert min(held[20:]) > 700  # the first ones lie beside the one that was used
    assert cache.read(name(100), 0, 0, 1) is None
    cache.put(name("huge"), 0, body(0, 2 * MIB))  # never fits, and does no harm
    assert cache.read(name(999), 0, 0, 5000) == body(999, 5000)


def test_what_is_pinned_stays(opened):
    cache = opened(MIB)
    cache.put(name("old"), 0, body(0, 5000))
    cache.pin(name("old"))
    cache.pin(name("old"))
    cache.unpin(name("old"))
    for number in range(1000):
        cache.put(name(number), 0, body(number, 5000))
    assert cache.read(name("old"), 0, 0, 5000) == body(0, 5000)
    cache.unpin(name("old"))
    for number in range(1000, 2000):
        cache.put(name(number), 0, body(number, 5000))
    assert cache.read(name("old"), 0, 0, 5000) is None


def test_the_least_recently_used_is_known_over_a_restart(folder, opened):
    cache = opened(MIB)
    for number in range(150):
        cache.put(name(number), 0, body(number, 5000))
    time.sleep(0.02)
    assert cache.read(name(0), 0, 0, 1)
    cache.close()
    again = opened(MIB)
    for number in range(1000, 1100):
        again.put(name(number), 0, body(number, 5000))
    assert again.read(name(0), 0, 0, 5000) == body(0, 5000)
    assert again.read(name(10), 0, 0, 1) is None


def test_a_smaller_bound_than_last_time(folder, opened):
    cache = opened(8 * MIB)
    for number in range(1000):
        cache.put(name(number), 0, body(number, 5000))
    cache.close()
    again = opened(MIB)
    again.put(name("new"), 0, body(1))
    assert used(folder) <= MIB
    assert again.read(name("new"), 0, 0, 5000) == body(1)


CHILD = """
import random, sys
from hashlib import sha256
from pathlib import Path
from syncd.mount.blocks.cache import BlockCache
name = lambda text: sha256(str(text).encode()).hexdigest()
body = lambda number, size: random.Random(number).randbytes(size)
cache = BlockCache(Path(sys.argv[1]), 1 << 20)
number = 0
while True:
    cache.put_all([(name(n), 0, body(n, 3000)) for n in range(number, number + 5)])
    number += 5
    print(number, flush=True)
"""


def test_a_kill_costs_little_and_tears_nothing(folder, opened, tmp_path):
    for round_ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder)],
            stdout=subprocess.PIPE, text=True, env=environment(tmp_path), cwd=os.getcwd(),
        )  # fmt: skip
        wanted = 400 + 35 * round_
        while int(child.stdout.readline()) < wanted:
            pass
        child.send_signal(signal.SIGKILL)
        printed = child.communicate()[0].split()
        last = int(printed[-1]) if printed else wanted + 5
        cache = opened(MIB)
        held = 0
        for number in range(last + 10):
            found = cache.read(name(number), 0, 0, 5000)
            assert found in (None, body(number, 3000))
            held += found is not None
        assert held > 50
        assert used(folder) <= MIB
        cache.close()


def test_the_memory_for_what_cannot_be_stored_is_bounded(opened, monkeypatch):
    monkeypatch.setattr(module, "SPARE_BYTES", 5000)
    cache = opened(100)
    for number in range(50):
        cache.put(name(number), 0, body(number))
    found = [n for n in range(50) if cache.read(name(n), 0, 0, 1000) == body(n)]
    assert found == [45, 46, 47, 48, 49]


def test_few_places_in_memory_are_enough(opened, monkeypatch):
    monkeypatch.setattr(module, "KNOWN", 10)
    cache = opened()
    for number in range(100):
        cache.put(name(number), 0, body(number))
    assert all(cache.read(name(n), 0, 0, 1000) == body(n) for n in range(100))
    assert len(cache._known) <= 10


def test_many_threads_at_once(opened):
    cache = opened(MIB)
    wrong = []

    def work(seed):
        chance = random.Random(seed)
        for _ in range(300):
            number = chance.randrange(400)
            found = cache.read(name(number), 0, 0, 5000)
            if found is None:
                cache.put(name(number), 0, body(number, 5000))
            elif found != body(number, 5000):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert cache.bytes <= MIB


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["put", "read", "forget", "again", "pin", "unpin"]), st.integers(0, 12)
    ),
    max_size=60,
)


@settings(max_examples=40)
@given(ACTS)
def test_whatever_is_done_only_right_bytes_come_back(tmp_path_factory, acts):
    folder = tmp_path_factory.mktemp("acts")
    cache = BlockCache(folder, 20_000)
    held = set()
    for act, number in acts:
        if act == "put":
            cache.put(name(number), number % 3, body(number, 1500))
            held.add(number)
        elif act == "forget":
            cache.forget(name(number))
            held.discard(number)
        elif act == "again":
            cache.close()
            cache = BlockCache(folder, 20_000)
        elif act in ("pin", "unpin"):
            getattr(cache, act)(name(number))
        found = cache.read(name(number), number % 3, 0, 2000)
        assert found in (None, body(number, 1500))
        assert found is None or number in held
        if act == "put":
            assert found is not None
        assert cache.bytes <= 20_000
    cache.close()
