"""Thumbnails: made in a child that may die, kept in a bounded cache below the data folder.

`page.py` asks; nothing else does. The hub's own process never decodes: a child is started when
the first thumbnail is wanted, replaced after a number of pictures or when it died, and ended with
the hub. What could not be made is remembered for a day as an empty file, so that one bad picture
costs one child at most once a day.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from syncd.hub import decode
from syncd.hub.limits import THUMBNAIL_BYTES

SIZES = (160, 320, 640, 1280)
SECONDS = 15.0
PICTURES = 500
DECODERS = 2
IDLE = 60.0
DAY = 86_400.0


class Content(NamedTuple):
    """Where an item's bytes lie: a descriptor that `Decoder.make` closes, and the stretch."""

    fd: int
    offset: int
    length: int


class Decoder:
    """One child at most, one question at a time; to be called by one thread at a time."""

    def __init__(self, *, seconds: float = SECONDS, pictures: int = PICTURES) -> None:
        self._seconds = seconds
        self._pictures = pictures
        self._left = 0
        self._killed = False
        self._child: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._child.pid if self._child else None

    def make(self, content: Content, size: int) -> tuple[bytes, bytes]:
        """Return a verdict of `decode` and the JPEG; a child that dies or hangs means NONE."""
        question = decode.QUESTION.pack(size, content.offset, content.length)
        try:
            line = self._started()
            if self._killed:  # before there was a child to end
                raise BrokenPipeError("the decoder was ended")
            answer = _ask(line, question, content.fd)
        except OSError:
            self.close()
            return (decode.UNSUPPORTED if self._killed else decode.NONE), b""
        finally:
            os.close(content.fd)
        self._left -= 1
        if self._left <= 0:
            self.close()
        return answer

    def kill(self) -> None:
        """End the child for good, from another thread: in the middle of a picture, or before one
        that is about to be asked for."""
        self._killed = True
        child = self._child  # which `close` may take away meanwhile
        if child:
            child.kill()

    def close(self) -> None:
        """End the child, if there is one; the next picture starts another."""
        if self._child and self._line:
            self._line.close()
            self._child.kill()
            self._child.wait()
        self._child = self._line = None

    def _started(self) -> socket.socket:
        if self._child and self._line and self._child.poll() is None:
            return self._line
        self.close()
        self._line, theirs = socket.socketpair()
        self._line.settimeout(self._seconds)
        self._left = self._pictures
        with theirs:
            self._child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", decode.__name__],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                # Nothing of the hub's environment: tokens are none of a decoder's business.
                env={
                    "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)),
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        return self._line


def _ask(line: socket.socket, question: bytes, fd: int) -> tuple[bytes, bytes]:
    socket.send_fds(line, [question], [fd])
    verdict, length = decode.ANSWER.unpack(_read(line, decode.ANSWER.size))
    return verdict, _read(line, length)


def _read(line: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        more = line.recv(length - len(data))
        if not more:
            raise BrokenPipeError("the decoder ended")
        data += more
    return bytes(data)


class Cache:
    """Small files by digest and size, oldest use first to go; safe to delete at any time."""

    def __init__(self, folder: Path, *, limit: int = THUMBNAIL_BYTES) -> None:
        self._folder = folder
        self._limit = limit
        self._held: int | None = None

    def get(self, digest: str, size: int) -> bytes | None:
        """Return the picture, empty bytes where none can be made, None where it is not known."""
        path = self._path(digest, size)
        try:
            data = path.read_bytes()
            age = time.time() - path.stat().st_mtime
        except OSError:
            return None
        if not data and age > DAY:
            return None
        if data and age > DAY / 24:
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)
        return data

    def put(self, digest: str, size: int, data: bytes) -> None:
        """Keep `data`; readers see all of it or nothing, a full disk costs only the cache."""
        path = self._path(digest, size)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        self._held = self._sum() if self._held is None else self._held + len(data)
        if self._held > self._limit:
            self._held = self._prune()

    def _path(self, digest: str, size: int) -> Path:
        return self._folder / digest[:2] / f"{digest}-{size}.jpg"

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        return found

    def _sum(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _prune(self) -> int:
        """Delete down to nine tenths of the limit, so that this is not done for every picture."""
        files = sorted(self._files(), reverse=True)
        held = 0
        for _, size, path in files:
            if held + size > self._limit * 9 // 10:
                path.unlink(missing_ok=True)
            else:
                held += size
        return held


class Thumbnails:
    """What the route asks: the cache, then whichever decoder is free, the last used one first.

    Belongs to one event loop. Children need no closing: they end when this process does.
    """

    def __init__(self, folder: Path, *, decoders: Sequence[Decoder] | None = None) -> None:
        self._cache = Cache(folder)
        self._decoders = decoders or [Decoder() for _ in range(DECODERS)]
        self._free: asyncio.LifoQueue[Decoder] = asyncio.LifoQueue()
        for decoder in self._decoders:
            self._free.put_nowait(decoder)
        self._idle: asyncio.TimerHandle | None = None

    async def get(
        self,
        digest: str,
        size: int,
        content: Callable[[], Content],
        gone: Callable[[], Awaitable[bool]],
    ) -> bytes | None:
        """Return a JPEG, None where there is none to be had or `gone` says nobody waits."""
        size = next((step for step in SIZES if step >= size), SIZES[-1])
        data = await asyncio.to_thread(self._cache.get, digest, size)
        if data is None:
            decoder = await self._free.get()
            try:
                data = b"" if await gone() else await self._make(decoder, digest, size, content)
            finally:
                self._free.put_nowait(decoder)
                self._rest()
        return data or None

    async def _make(
        self, decoder: Decoder, digest: str, size: int, content: Callable[[], Content]
    ) -> bytes:
        def call() -> bytes:
            known = self._cache.get(digest, size)  # made while this one waited for its turn
            if known is not None:
                return known
            verdict, data = decoder.make(content(), size)
            if verdict != decode.UNSUPPORTED:
                self._cache.put(digest, size, data)
            return data

        try:
            return await asyncio.to_thread(call)
        except asyncio.CancelledError:
            decoder.kill()  # the hub stops: it is not to wait for a picture
            raise

    def _rest(self) -> None:
        """A hub nobody looks at keeps no children."""
        if self._idle:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, self._doze)

    def _doze(self) -> None:
        if self._free.qsize() == len(self._decoders):
            for decoder in self._decoders:
                decoder.close()
