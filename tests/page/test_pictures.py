"""Small pictures of large ones: every kind upright and in its colours, and no bomb goes off."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pydicom
import pytest
from PIL import Image

from syncd.hub import decode, pictures
from syncd.hub.thumbnail import Content, Decoder
from tests import media

RED, GREEN = (200, 40, 40), (40, 160, 60)


def small(data: bytes, size: int = 160) -> Image.Image:
    made = Image.open(io.BytesIO(pictures.thumbnail(io.BytesIO(data), size)))
    assert made.format == "JPEG"
    return made


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def near(picture: Image.Image, at: tuple[float, float], colour: tuple[int, int, int]) -> bool:
    """Whether a pixel, given in parts of width and height, has about this colour."""
    where = int(at[0] * picture.width), int(at[1] * picture.height)
    found = picture.convert("RGB").getpixel(where)
    assert isinstance(found, tuple)
    return all(abs(a - b) < 24 for a, b in zip(found, colour, strict=True))


def halves(size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Red on the left, green on the right."""
    picture = Image.new("RGB", size, RED)
    picture.paste(GREEN, (size[0] // 2, 0, *size))
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_every_format_keeps_its_shape_and_colours(kind: str):
    made = small(saved(halves(), kind))
    assert made.size == (160, 120)
    assert near(made, (0.2, 0.5), RED)
    assert near(made, (0.8, 0.5), GREEN)


def test_all_samples_have_a_thumbnail(tmp_path: Path):
    for path in media.samples(tmp_path):
        assert max(small(path.read_bytes()).size) == 160, path.name


def test_a_picture_stored_on_its_side_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    made = small(saved(halves(), "JPEG", exif=exif))
    assert made.size == (120, 160)
    assert near(made, (0.5, 0.2), RED)
    assert near(made, (0.5, 0.8), GREEN)


def test_print_colours_become_screen_colours():
    made = small(saved(halves().convert("CMYK"), "JPEG"))
    assert near(made, (0.2, 0.5), RED)


def test_what_is_clear_lies_on_a_neutral_ground():
    clear = Image.new("RGBA", (80, 80), (0, 0, 0, 0))
    clear.paste((*RED, 255), (0, 0, 40, 80))
    for kind in ("PNG", "WEBP"):
        made = small(saved(clear, kind))
        assert near(made, (0.2, 0.5), RED)
        assert near(made, (0.8, 0.5), pictures.GROUND)
    palette = clear.convert("RGB").quantize(4)
    made = small(saved(palette, "PNG", transparency=palette.getpixel((60, 40))))
    assert near(made, (0.8, 0.5), pictures.GROUND)


@pytest.mark.parametrize("depth", ["uint16", "int32", "float32"])
def test_deep_greys_use_the_whole_range(depth: str):
    ramp = np.linspace(1000, 3000, 256)[None, :].repeat(64, axis=0)
    made = small(saved(Image.fromarray(ramp.astype(depth)), "TIFF"))
    assert near(made, (0.0, 0.5), (0, 0, 0))
    assert near(made, (0.99, 0.5), (255, 255, 255))
    flat = Image.fromarray(np.full((8, 8), 1000, dtype=depth))
    assert small(saved(flat, "TIFF")).size == (8, 8)


def test_a_scan_is_seen_through_its_window(tmp_path: Path):
    media._dicom(tmp_path / "scan.dcm")  # grey from left to right, 12 bits
    scan = pydicom.dcmread(tmp_path / "scan.dcm")
    scan.WindowCenter, scan.WindowWidth = [2000, 100], [400, 10]
    scan.save_as(tmp_path / "seen.dcm")
    seen = small((tmp_path / "seen.dcm").read_bytes()).convert("L")
    scan.PhotometricInterpretation = "MONOCHROME1"
    scan.save_as(tmp_path / "inverse.dcm")
    inverse = small((tmp_path / "inverse.dcm").read_bytes()).convert("L")
    plain = np.asarray(small((tmp_path / "scan.dcm").read_bytes()).convert("L"), dtype=int)
    sharp, turned = np.asarray(seen, dtype=int), np.asarray(inverse, dtype=int)
    assert (sharp[plain < 100] < 40).all()
    assert (sharp[plain > 150] > 215).all()
    assert abs(sharp + turned - 255).max() < 40


def test_small_pictures_are_not_blown_up():
    assert small(saved(halves((20, 10)), "PNG")).size == (20, 10)


def test_a_kind_is_known_by_its_bytes_alone():
    with pytest.raises(OSError, match="cannot identify"):
        small(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(OSError, match="cannot identify"):
        small(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    with pytest.raises(OSError, match="cannot identify"):
        small(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_no_picture_is_taken_for_a_video():
    greys = Image.frombytes("P", (16, 16), bytes(range(256)))
    greys.putpalette(b"G" * 768)  # what begins with a G and has one after 188 bytes looks like MPEG
    assert small(saved(greys, "GIF")).size == (16, 16)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mp4", "mpeg4"),
        ("mov", "mpeg4"),
        ("matroska", "mpeg4"),
        ("webm", "libvpx"),
        ("avi", "mpeg4"),
        ("mpegts", "mpeg2video"),
        ("mpeg", "mpeg2video"),
        ("flv", "flv"),
        ("asf", "wmv2"),
    ],
)
def test_videos_give_a_frame(tmp_path: Path, container: str, codec: str):
    with av.open(str(tmp_path / "video"), "w", format=container) as video:
        stream = video.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(5):
            video.mux(stream.encode(av.VideoFrame.from_image(halves((320, 240)))))
        video.mux(stream.encode())
    made = small((tmp_path / "video").read_bytes())
    assert made.size == (160, 120)
    assert near(made, (0.2, 0.5), RED)


def test_a_stretch_of_a_file_is_a_file(tmp_path: Path):
    picture = saved(halves(), "PNG")
    pack = tmp_path / "pack"
    pack.write_bytes(b"before" + picture + saved(halves(), "GIF"))
    content = Content(os.open(pack, os.O_RDONLY), 6, len(picture))
    decoder = Decoder()
    verdict, made = decoder.make(content, 160)
    decoder.close()
    assert verdict == decode.MADE
    assert made == pictures.thumbnail(io.BytesIO(picture), 160)


# -- bombs


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds black that compresses a thousandfold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + width * 3)
    body = b"".join(packer.compress(row) for _ in range(min(height, 200)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", head), chunk(b"IDAT", body + packer.flush()), chunk(b"IEND", b""))
    )


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path):
    """By the child itself: it lives on, and never took the memory."""
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_of(30_000, 30_000))
    decoder = Decoder()
    try:
        made = [decoder.make(_opened(bomb), 160) for _ in range(3)]
        assert made == [(decode.NONE, b"")] * 3
        peak = Path(f"/proc/{decoder.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        assert int(peak) < 200_000, "kB"
    finally:
        decoder.close()


def _opened(path: Path) -> Content:
    return Content(os.open(path, os.O_RDONLY), 0, path.stat().st_size)


def test_an_animation_costs_one_frame():
    frames = [halves((500, 500)) for _ in range(3)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert small(data).size == (160, 160)
