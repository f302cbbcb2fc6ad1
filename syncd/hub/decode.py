"""The child that turns foreign bytes into a small JPEG, so that the hub never decodes anything.

Started by `thumbnail.Decoder`; stdin is a socket on which each question comes with an open file:

    question   u32 size, u64 offset, u64 length, and the file's descriptor beside them
    answer     one byte of verdict, u32 length, that many bytes of JPEG

Where the size asked for is 0, the answer is not a JPEG but width and height as they are stored,
and the EXIF orientation, 0 where there is none.

It must stay poor: it gets descriptors instead of paths, no secrets in its environment, can write
no file, has its memory and CPU time limited by the kernel, ends with its socket and is killed
with its parent.
"""

from __future__ import annotations

import ctypes
import io
import os
import resource
import signal
import socket
import struct
from typing import Any

MADE, NONE, UNSUPPORTED = b"M", b"N", b"U"
"""A picture; none can be had from these bytes; none without a package that is not installed."""

QUESTION = struct.Struct(">IQQ")
ANSWER = struct.Struct(">cI")
EXTENT = struct.Struct(">IIB")
MEMORY = 1536 * 1024 * 1024
CPU_SECONDS = 8


class _Part(io.RawIOBase):
    """A stretch of a file as a file of its own: small content lies inside packs."""

    name = ""  # pydicom wants every file to have one

    def __init__(self, fd: int, offset: int, length: int) -> None:
        self._fd, self._offset, self._length = fd, offset, length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer)[: max(0, self._length - self._at)]
        count = os.preadv(self._fd, [room], self._offset + self._at)
        self._at += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


def _answer(fd: int, size: int, offset: int, length: int) -> bytes:
    from syncd.hub import pictures  # the hub imports this module, and needs no decoders

    verdict, picture = MADE, b""
    with io.BufferedReader(_Part(fd, offset, length), 64 * 1024) as file:
        try:
            picture = (
                pictures.thumbnail(file, size) if size else EXTENT.pack(*pictures.extent(file))
            )
        except pictures.UnsupportedError:
            verdict = UNSUPPORTED
        except Exception:  # whatever a decoder makes of foreign bytes: there is no picture
            verdict = NONE
    return ANSWER.pack(verdict, len(picture)) + picture


def _guard() -> None:
    """Give up what is not needed; from here on the kernel holds the limits."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    os.nice(5)


def _allow(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def main() -> None:
    """Answer questions until the socket ends."""
    _guard()
    with socket.socket(fileno=0) as hub:
        while True:
            question, fds, _, _ = socket.recv_fds(hub, QUESTION.size, 1)
            if not question:
                return
            _allow(CPU_SECONDS)
            hub.sendall(_answer(fds[0], *QUESTION.unpack(question)))


if __name__ == "__main__":
    main()
