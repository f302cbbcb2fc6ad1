"""The child that turns foreign bytes into a small JPEG, so that the hub never decodes anything.

Started by `thumbnail.Decoder`; stdin is a socket on which each question comes with an open file:

    question   u32 size, u64 offset, u64 length, and the file's descriptor beside them
    answer     one byte of verdict, u32 length, that many bytes of JPEG

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
from typing import IO, Any, BinaryIO, cast

from PIL import Image, ImageOps

MADE, NONE, UNSUPPORTED = b"M", b"N", b"U"
"""A picture; none can be had from these bytes; none without a package that is not installed."""

QUESTION = struct.Struct(">IQQ")
ANSWER = struct.Struct(">cI")
PIXELS = 100_000_000
MEMORY = 1536 * 1024 * 1024
CPU_SECONDS = 8
GROUND = (236, 236, 236)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
VIDEOS = ((0, b"\x1aE\xdf\xa3", "matroska"), (0, b"\x00\x00\x01\xba", "mpeg"), (0, b"FLV", "flv"),
          (0, b"\x30\x26\xb2\x75", "asf"), (8, b"AVI ", "avi"), (4, b"moov", "mov"),
          (4, b"ftyp", "mov"), (188, b"G", "mpegts"))  # fmt: skip


class _UnsupportedError(Exception):
    """A package that is optional would be needed."""


def thumbnail(file: IO[bytes], size: int) -> bytes:
    """Return a JPEG that fits a square of `size` pixels; raise whatever the decoder raises."""
    picture = _open(file, size)
    picture.thumbnail((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    _flat(ImageOps.exif_transpose(picture)).save(out, "JPEG", quality=82)
    return out.getvalue()


def _open(file: IO[bytes], size: int) -> Image.Image:
    start = file.read(264)
    file.seek(0)
    if start[128:132] == b"DICM":
        return _dicom(file)
    if start[4:8] == b"ftyp" and start[8:12] in BRANDS:
        return _heic(file, size)
    if start[4:8] != b"ftyp" or start[8:12] not in (b"avif", b"avis"):
        for offset, magic, container in VIDEOS:
            if start[offset:].startswith(magic):
                return _video(file, container)
    return _picture(Image.open(file, formats=FORMATS), size)


def _picture(picture: Image.Image, size: int) -> Image.Image:
    picture.draft(None, (size, size))  # a JPEG is scaled while it is decoded
    if picture.width * picture.height > PIXELS:
        raise ValueError("too many pixels")
    picture.load()
    if picture.mode == "P":
        return picture.convert("RGBA")
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _stretched(picture)
    return picture


def _stretched(picture: Image.Image) -> Image.Image:
    """Deep grey scales rarely use their whole range: the darkest becomes black, the lightest white.

    Pillow cannot resize every deep mode, but all of them as floats.
    """
    exact = picture.convert("F")
    low, high = cast(tuple[float, float], exact.getextrema())
    scale = 255.0 / (high - low) if high > low else 0.0
    return exact.point(lambda value: value * scale - low * scale).convert("L")


def _flat(picture: Image.Image) -> Image.Image:
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    above = picture.convert("RGBA")
    ground = Image.new("RGB", above.size, GROUND)
    ground.paste(above, mask=above)
    return ground


def _heic(file: IO[bytes], size: int) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise _UnsupportedError from error
    pillow_heif.register_heif_opener()
    return _picture(Image.open(file, formats=("HEIF",)), size)


def _dicom(file: IO[bytes]) -> Image.Image:
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError as error:
        raise _UnsupportedError from error
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    if int(dataset.Rows) * int(dataset.Columns) > PIXELS:
        raise ValueError("too many pixels")
    file.seek(0)
    frame = pixel_array(cast(BinaryIO, file), index=0)
    if int(dataset.get("SamplesPerPixel", 1)) == 3:
        return Image.fromarray(frame.astype("uint8"), "RGB")
    frame = apply_voi_lut(apply_modality_lut(frame, dataset), dataset)
    grey = _stretched(Image.fromarray(frame.astype("float32")))
    return ImageOps.invert(grey) if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def _video(file: IO[bytes], container: str) -> Image.Image:
    """The first key frame after a tenth of the length: the very first is often black.

    The container is named by us, so that nothing that points at other files is ever tried.
    """
    try:
        import av
    except ImportError as error:
        raise _UnsupportedError from error
    with av.open(file, "r", format=container) as video:
        stream = video.streams.video[0]
        stream.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        if stream.width * stream.height > PIXELS:
            raise ValueError("too many pixels")
        if video.duration:
            video.seek(video.duration // 10)
        frame: Any = next(video.decode(stream))
        return cast(Image.Image, frame.to_image())


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
    verdict, picture = MADE, b""
    with io.BufferedReader(_Part(fd, offset, length), 64 * 1024) as file:
        try:
            picture = thumbnail(file, size)
        except _UnsupportedError:
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
    Image.MAX_IMAGE_PIXELS = None  # `_picture` counts, after the draft


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
