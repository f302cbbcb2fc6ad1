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
ORIENTATION = 0x0112
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


def extent(file: IO[bytes]) -> tuple[int, int, int]:
    """Width and height as stored and the EXIF orientation, 0 where there is none, of which the
    head of the file tells; raises as above."""
    kind = _kind(file)
    if kind == "dicom":
        scan = _scan(file)
        return int(scan.Columns), int(scan.Rows), 0
    if kind in VIDEOS:
        with _container(file, kind) as video:
            stream = video.streams.video[0]
            return stream.width, stream.height, 0
    picture = _heif(file) if kind == "heif" else Image.open(file, formats=FORMATS)
    width, height = picture.size
    if picture.format == "TIFF":  # of the others it is `size`; of these that is turned upright
        tags = cast(Any, picture).tag_v2
        width, height = int(tags[256]), int(tags[257])
    return width, height, _orientation(picture)


def _orientation(picture: Image.Image) -> int:
    """What the file records. HEIF has none: its own turning is part of how it is decoded."""
    if picture.format == "HEIF":
        return 0
    try:
        found = Image.Image.getexif(picture).get(ORIENTATION, 0)  # PNG's own would decode it all
    except Exception:  # a picture whose notes are damaged is one all the same
        return 0
    return int(found) if found in range(1, 9) else 0


def _open(file: IO[bytes], size: int) -> Image.Image:
    kind = _kind(file)
    if kind == "dicom":
        return _dicom(file)
    if kind in VIDEOS:
        return _video(file, kind)
    return _picture(_heif(file) if kind == "heif" else Image.open(file, formats=FORMATS), size)


def _kind(file: IO[bytes]) -> str:
    """What the first bytes say: "dicom", "heif", a video's container, or "" for the others."""
    start = file.read(192)
    file.seek(0)
    if start[128:132] == b"DICM":
        return "dicom"
    brand = start[8:12] if start[4:8] == b"ftyp" else b""
    if brand in HEIF:
        return "heif"
    containers = {} if brand in AVIF else VIDEOS
    return next((c for c, begins in containers.items() if re.match(begins, start, re.DOTALL)), "")


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


def _heif(file: IO[bytes]) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        raise UnsupportedError from error
    pillow_heif.register_heif_opener()
    return Image.open(file, formats=("HEIF",))


def _scan(file: IO[bytes]) -> Any:
    """What a DICOM file says of its picture, without the pixels."""
    try:
        import pydicom
    except ImportError as error:
        raise UnsupportedError from error
    return pydicom.dcmread(file, stop_before_pixels=True)


def _dicom(file: IO[bytes]) -> Image.Image:
    scan = _scan(file)
    try:
        from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
        from pydicom.pixels.utils import pixel_array
    except ImportError as error:
        raise UnsupportedError from error
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
    """The first key frame after a tenth of the length: the very first is often black."""
    with _container(file, container) as video:
        stream = video.streams.video[0]
        stream.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        if stream.width * stream.height > PIXELS:
            raise ValueError("too many pixels")
        if video.duration:
            video.seek(video.duration // 10)
        frame: Any = next(video.decode(stream))
        return cast(Image.Image, frame.to_image())


def _container(file: IO[bytes], container: str) -> Any:
    """A video's file, open. The container is named by us, so that nothing that points at other
    files is ever tried."""
    try:
        import av
    except ImportError as error:
        raise UnsupportedError from error
    return av.open(file, "r", format=container)
