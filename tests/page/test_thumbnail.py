"""Children that may die, a cache that stays in bounds, and a hub that notices neither."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from syncd.hub import decode, thumbnail
from syncd.hub.thumbnail import DAY, Cache, Content, Decoder, Thumbnails
from tests import proc
from tests.page.stage import PATIENCE, RunningHub, picture, running_hub, wait_until

DIGEST = "ab" * 32


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(seconds=PATIENCE)
    yield made
    made.close()


@pytest.fixture
def content(tmp_path: Path) -> Callable[[bytes], Content]:
    def of(data: bytes) -> Content:
        path = tmp_path / "content"
        path.write_bytes(data)
        return Content(os.open(path, os.O_RDONLY), 0, len(data))

    return of


Make = Callable[[bytes], Content]


def child(decoder: Decoder) -> int:
    assert decoder.pid, "a signal to process 0 would go to all of us"
    return decoder.pid


def test_no_child_before_the_first_picture(decoder: Decoder, content: Make):
    assert decoder.pid is None
    verdict, data = decoder.make(content(picture(1)), 160)
    assert (verdict, data[:2]) == (decode.MADE, b"\xff\xd8")
    assert decoder.pid is not None
    assert proc.parent(decoder.pid)


def test_one_child_makes_many_pictures_then_another_takes_over(content: Make):
    decoder = Decoder(pictures=3)
    pids = []
    for number in range(4):
        pids.append(decoder.pid)
        assert decoder.make(content(picture(number)), 160)[0] == decode.MADE
    assert pids[1] == pids[2] is not None
    assert decoder.pid not in pids
    assert not proc.parent(pids[1] or 0)
    decoder.close()


def test_a_child_that_died_is_replaced(decoder: Decoder, content: Make):
    decoder.make(content(picture(1)), 160)
    os.kill(child(decoder), signal.SIGKILL)
    verdict, _ = decoder.make(content(picture(1)), 160)
    assert verdict in (decode.MADE, decode.NONE)  # whether the death was seen before asking
    assert decoder.make(content(picture(1)), 160)[0] == decode.MADE


def test_a_child_that_hangs_is_given_up(content: Make):
    decoder = Decoder(seconds=PATIENCE)
    assert decoder.make(content(picture(1)), 160)[0] == decode.MADE
    assert decoder._line
    assert decoder._line.gettimeout() == PATIENCE
    decoder._line.settimeout(0.5)  # only now: to start may take longer
    pid = child(decoder)
    os.kill(pid, signal.SIGSTOP)
    assert decoder.make(content(picture(2)), 160) == (decode.NONE, b"")
    assert not proc.parent(pid)
    decoder.close()


def test_what_is_ended_before_it_is_asked_makes_no_picture(decoder: Decoder, content: Make):
    decoder.kill()
    assert decoder.make(content(picture(2)), 160) == (decode.UNSUPPORTED, b"")
    assert decoder.pid is None


def test_the_child_is_poor(decoder: Decoder, content: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SYNCD_TOKEN", "secret")
    decoder.make(content(picture(1)), 160)
    proc = Path(f"/proc/{decoder.pid}")
    assert b"secret" not in (proc / "environ").read_bytes()
    limits = {line[:26].strip(): line[26:].split()[0] for line in _lines(proc / "limits")}
    assert limits["Max address space"] == str(decode.MEMORY)
    assert limits["Max file size"] == "0"
    assert limits["Max core file size"] == "0"
    assert int(limits["Max cpu time"]) <= decode.CPU_SECONDS + 3


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def test_descriptors_do_not_pile_up_in_the_child(decoder: Decoder, content: Make):
    for _ in range(40):  # more than it may have open
        assert decoder.make(content(picture(1)), 160)[0] == decode.MADE
        assert decoder.make(content(b"not a picture"), 160)[0] == decode.NONE


def test_the_child_ends_with_a_hub_that_is_killed(tmp_path: Path):
    with running_hub(tmp_path) as hub:
        item = hub.items(hub.dataset({"a.png": picture(1)}))[0]
        answer = hub.http.get(f"/v1/items/{item['id']}/thumbnail")
        assert answer.status_code == 200
        children = proc.children(hub.pid)
        assert len(children) == 1
        os.kill(children[0], signal.SIGSTOP)  # as good as deep in a picture
        os.kill(hub.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(proc.parent, children)))


# -- the cache


def test_what_was_put_is_got(tmp_path: Path):
    cache = Cache(tmp_path)
    assert cache.get(DIGEST, 160) is None
    cache.put(DIGEST, 160, b"jpeg")
    assert cache.get(DIGEST, 160) == b"jpeg"
    assert cache.get(DIGEST, 320) is None
    assert not list(tmp_path.rglob(".new-*"))


def test_that_there_is_none_is_known_for_a_day(tmp_path: Path):
    cache = Cache(tmp_path)
    cache.put(DIGEST, 160, b"")
    assert cache.get(DIGEST, 160) == b""
    _age(tmp_path, 2 * DAY)
    assert cache.get(DIGEST, 160) is None


def test_the_cache_stays_in_bounds_and_keeps_what_is_used(tmp_path: Path):
    cache = Cache(tmp_path, limit=10_000)
    for number in range(30):
        cache.put(f"{number:064x}", 160, bytes(1000))
        _age(tmp_path, 7200)
        assert cache.get(f"{0:064x}", 160)  # used again and again
        held = sum(path.stat().st_size for path in tmp_path.rglob("*.jpg"))
        assert held <= 10_000
    assert cache.get(f"{29:064x}", 160)
    assert cache.get(f"{3:064x}", 160) is None


def test_a_cache_found_at_start_counts(tmp_path: Path):
    for number in range(9):
        Cache(tmp_path).put(f"{number:064x}", 160, bytes(1000))
    Cache(tmp_path, limit=5000).put(DIGEST, 160, bytes(1000))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= 5000


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file")
    cache.put(DIGEST, 160, b"jpeg")
    assert cache.get(DIGEST, 160) is None


def _age(folder: Path, seconds: float) -> None:
    for path in folder.rglob("*.jpg"):
        stat = path.stat()
        os.utime(path, (stat.st_atime, stat.st_mtime - seconds))


# -- both together


async def _no() -> bool:
    return False


async def _yes() -> bool:
    return True


class Counting(Decoder):
    """A decoder that counts what it is asked."""

    asked = 0

    def make(self, content: Content, size: int) -> tuple[bytes, bytes]:
        self.asked += 1
        return super().make(content, size)


def test_a_picture_is_made_once_for_many_who_ask(tmp_path: Path, content: Make):
    decoder = Counting()

    async def ask() -> list[bytes | None]:
        made = Thumbnails(tmp_path / "cache", decoders=[decoder])
        one = made.get(DIGEST, 200, lambda: content(picture(1)), _no)
        many = [made.get(DIGEST, 320, lambda: content(picture(1)), _no) for _ in range(4)]
        return list(await asyncio.gather(one, *many))

    answers = asyncio.run(ask())
    decoder.close()
    assert len(set(answers)) == 1
    assert answers[0]
    assert decoder.asked == 1


def test_nothing_is_made_for_one_who_left(tmp_path: Path, content: Make):
    decoder = Counting()

    async def ask() -> bytes | None:
        made = Thumbnails(tmp_path / "cache", decoders=[decoder])
        return await made.get(DIGEST, 320, lambda: content(picture(1)), _yes)

    assert asyncio.run(ask()) is None
    assert decoder.asked == 0


def test_a_hub_nobody_looks_at_keeps_no_child(
    tmp_path: Path, content: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(thumbnail, "IDLE", 0.05)
    decoder = Decoder()

    async def ask() -> None:
        made = Thumbnails(tmp_path / "cache", decoders=[decoder])
        assert await made.get(DIGEST, 320, lambda: content(picture(1)), _no)
        assert decoder.pid is not None
        while decoder.pid is not None:
            await asyncio.sleep(0.01)
        assert await made.get(DIGEST, 160, lambda: content(picture(1)), _no)

    asyncio.run(asyncio.wait_for(ask(), PATIENCE))
    decoder.close()


def test_a_stopping_hub_does_not_wait_for_a_picture(
    tmp_path: Path, content: Make, monkeypatch: pytest.MonkeyPatch
):
    decoder, asked, read = Decoder(seconds=1000), threading.Event(), thumbnail._read
    assert decoder.make(content(picture(1)), 160)[0] == decode.MADE
    os.kill(child(decoder), signal.SIGSTOP)

    def reading(line: socket.socket, length: int) -> bytes:
        asked.set()
        return read(line, length)

    monkeypatch.setattr(thumbnail, "_read", reading)

    async def ask() -> None:
        made = Thumbnails(tmp_path / "cache", decoders=[decoder])
        task = asyncio.create_task(made.get(DIGEST, 320, lambda: content(picture(2)), _no))
        await asyncio.to_thread(asked.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())  # would go on until the picture is there, or the test's time is over
    assert decoder.pid is None
    assert not list((tmp_path / "cache").rglob("*.jpg")), "that was not the picture's fault"


# -- the route


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("thumbnails")) as running:
        yield running


def test_a_thumbnail_may_be_kept_where_its_digest_was_named(hub: RunningHub):
    item = hub.items(hub.dataset({"a.jpg": picture(1, (900, 600), "JPEG")}))[0]
    path = f"/v1/items/{item['id']}/thumbnail"
    answer = hub.http.get(path, params={"size": 300, "digest": item["sha256"]})
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "private" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    other = hub.http.get(path, params={"digest": "0" * 64})
    assert other.headers["Cache-Control"] == "private, no-cache"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert hub.http.get(path, params={"size": 300}, headers=known).status_code == 304


def test_what_has_none_is_404_and_foreign_sizes_400(hub: RunningHub):
    item = hub.items(hub.dataset({"a.jpg": b"no picture"}))[0]
    path = f"/v1/items/{item['id']}/thumbnail"
    for _ in range(2):
        assert hub.http.get(path).status_code == 404
    assert "no thumbnail" in hub.http.get(path).json()["error"]
    assert hub.http.get("/v1/items/none/thumbnail").status_code == 404
    for size in ("0", "-1", "100000", "big"):
        assert hub.http.get(path, params={"size": size}).status_code == 400


def test_the_hub_answers_while_pictures_are_made(hub: RunningHub):
    items = hub.items(hub.dataset({f"{n}.jpg": picture(n, (400, 300), "JPEG") for n in range(7)}))
    first, *paths = [f"/v1/items/{item['id']}/thumbnail" for item in items]
    hub.http.get(first).raise_for_status()
    with ThreadPoolExecutor(len(paths)) as pool, stopped(proc.children(hub.pid)):
        asked = [pool.submit(hub.http.get, path) for path in paths]
        for _ in range(100):
            hub.http.get("/health", timeout=10).raise_for_status()
        assert not all(answer.done() for answer in asked)
    assert {answer.result().status_code for answer in asked} == {200}


@contextlib.contextmanager
def stopped(children: list[int]) -> Iterator[None]:
    """As good as deep in their pictures."""
    assert children
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in children:
            os.kill(pid, signal.SIGCONT)
