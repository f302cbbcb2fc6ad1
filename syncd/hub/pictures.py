"""How a picture, scan or video becomes a small upright JPEG, whatever its kind.

Runs in the child of `decode` only: everything here reads foreign bytes, and may raise whatever a
decoder raises. What a file is, its first bytes say; names and extensions are not believed.
Packages that are optional are imported when a file of their kind is met.
"""

from __future__ import annotations

import io
import re
from typing import IO, Any, BinaryIO, cast

from PIL import Image, ImageOps

PIXELS = 100_000_000
GROUND = (236, 236, 236)
Image.MAX_IMAGE_PIXELS = None  # `_picture` counts, after the draft
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
AVIF = {b"avif", b"avis"}
VIDEOS = {
    "matroska": rb"\x1aE\xdf\xa3",
    "mov": rb".{4}(ftyp|moov|mdat|wide|free)",
    "avi": rb"RIFF.{4}AVI ",
    "mpeg": rb"\x00\x00\x01\xba",
    "mpegts": rb"G(?!IF8).{187}G",
    "asf": rb"\x30\x26\xb2\x75",
    "flv": rb"FLV\x01",
}
"""Containers, and how a file of one begins."""


class UnsupportedError(Exception):
    """A package that is optional would be needed."""


def thumbnail(file: IO[bytes], size: int) -> bytes:
    """Return a JPEG that fits a square of `size` pixels; raise whatever the decoder raises."""
    picture = _open(file, size)
    picture.thumbnail((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    out = io.BytesIO()
    _flat(ImageOps.exif_transpose(picture)).save(out, "JPEG", quality=82)
    return out.getvalue()


def _open(file: IO[bytes], size: int) -> Image.Image:
    start = file.read(192)
    file.seek(0)
    if start[128:132] == b"DICM":
        return _dicom(file)
    brand = start[8:12] if start[4:8] == b"ftyp" else b""
    if brand in HEIF:
        return _heic(file, size)
    if brand not in AVIF:
        for container, beginning in VIDEOS.items():
            if re.match(beginning, start, re.DOTALL):
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


def _stretched(picture: Image.Image, window: tuple[float, float] | None = None) -> Image.Image:
    """Deep grey scales rarely use their whole range: the darkest becomes black, the lightest
    white, unless a window (from, to) is known.

    Pillow cannot resize every deep mode, but all of them as floats.
    """
    exact = picture.convert("F")
    low, high = window or cast(tuple[float, float], exact.getextrema())
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
        raise UnsupportedError from error
    pillow_heif.register_heif_opener()
    return _picture(Image.open(file, formats=("HEIF",)), size)


def _dicom(file: IO[bytes]) -> Image.Image:
    try:
        import pydicom
        from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError as error:
        raise UnsupportedError from error
    scan = pydicom.dcmread(file, stop_before_pixels=True)
    if int(scan.Rows) * int(scan.Columns) > PIXELS:
        raise ValueError("too many pixels")
    file.seek(0)
    frame = pixel_array(cast(BinaryIO, file), index=0)
    if scan.PhotometricInterpretation == "PALETTE COLOR":
        frame = apply_color_lut(frame, scan)
    if frame.ndim == 3:
        deeper = frame.itemsize > 1
        return Image.fromarray((frame >> 8 if deeper else frame).astype("uint8"), "RGB")
    exact = Image.fromarray(apply_modality_lut(frame, scan).astype("float32"))
    grey = _stretched(exact, _window(scan))
    return ImageOps.invert(grey) if scan.PhotometricInterpretation == "MONOCHROME1" else grey


def _window(scan: Any) -> tuple[float, float] | None:
    """The range of values a radiologist wants to see; the first, where there are several."""
    if "WindowCenter" not in scan or "WindowWidth" not in scan:
        return None
    middle, width = (
        float(value[0] if hasattr(value, "__getitem__") else value)
        for value in (scan.WindowCenter, scan.WindowWidth)
    )
    return middle - width / 2, middle + width / 2


def _video(file: IO[bytes], container: str) -> Image.Image:
    """The first key frame after a tenth of the length: the very first is often black.

    The container is named by us, so that nothing that points at other files is ever tried.
    """
    try:
        import av
    except ImportError as error:
        raise UnsupportedError from error
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
