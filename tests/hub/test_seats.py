"""Room for bodies in memory: bounded in bytes, in the order of coming."""

from __future__ import annotations

import asyncio
import http.client
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

from syncd.hub.seats import Seats
from tests.hub.asking import asking


async def settled():
    """Everything that can go on without us has done so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_no_more_is_taken_in_than_there_is_room_and_nobody_is_passed_by():
    async def told():
        seats, inside, leave = Seats(10), [], {name: asyncio.Event() for name in "abcd"}

        async def sit(name, size):
            async with seats.taken(size):
                inside.append(name)
                await leave[name].wait()
            inside.remove(name)

        tasks = []
        steps = []
        for name, size in {"a": 6, "b": 99, "c": 4, "d": 4}.items():
            tasks.append(asyncio.create_task(sit(name, size)))
            await settled()
        for name in "abcd":
            steps.append("".join(inside))
            leave[name].set()
            await settled()
        await asyncio.gather(*tasks)
        return steps

    assert asyncio.run(told()) == ["a", "b", "cd", "d"]


def test_whoever_gives_up_waiting_takes_no_room():
    async def told():
        seats = Seats(10)
        async with seats.taken(10):
            waiting = asyncio.create_task(seats.taken(5).__aenter__())
            await settled()
            waiting.cancel()
            await settled()
        async with seats.taken(10):
            return True

    assert asyncio.run(asyncio.wait_for(told(), 10))


def test_many_batches_that_arrive_slowly_keep_nobody_out(hub):
    with asking(hub, "seats") as pets, ExitStack() as lines:
        for _ in range(20):
            line = lines.enter_context(
                closing(http.client.HTTPConnection(urlsplit(hub.url).netloc, timeout=20))
            )
            line.putrequest("POST", f"{pets.base}/batch")
            for header in [*hub.headers.items(), ("content-length", "1000")]:
                line.putheader(*header)
            line.putheader("expect", "100-continue")
            line.endheaders()
            # The hub says this when it begins to read the body.
            assert line.sock.recv(1000).startswith(b"HTTP/1.1 100")
        pets.stored("a", b"cat")
