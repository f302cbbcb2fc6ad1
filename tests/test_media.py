"""The sample media are what they claim to be: a test fed with them is fed with real files."""

from __future__ import annotations

import av
import pillow_heif
import pydicom
import pytest
from PIL import Image, ImageSequence

from tests import media

pillow_heif.register_heif_opener()
STILLS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".avif", ".gif", ".tiff", ".heic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("media")


def test_every_still_decodes_to_the_size_it_was_made_with(folder):
    stills = [path for path in media.samples(folder / "good") if path.suffix.lower() in STILLS]
    assert len(stills) == 13
    for path in stills:
        with Image.open(path) as picture:
            picture.load()
            assert picture.size == media.SIZE, path.name


def frames(picture: Image.Image) -> int:
    return sum(1 for _ in ImageSequence.Iterator(picture))


def test_the_variants_are_there(folder):
    good = folder / "variants"
    media.samples(good)
    with Image.open(good / "turned.jpg") as turned, Image.open(good / "cmyk.jpg") as cmyk:
        assert (turned.getexif()[0x0112], cmyk.mode) == (6, "CMYK")
    with Image.open(good / "pages-16bit.tiff") as pages, Image.open(good / "moving.gif") as moving:
        assert (frames(pages), pages.mode, frames(moving)) == (3, "I;16", 3)
    with Image.open(good / "progressive.jpeg") as progressive:
        assert progressive.info["progressive"]


def test_the_video_and_the_scan_are_readable(folder):
    media.samples(folder / "moving")
    with av.open(str(folder / "moving" / "clip.mp4")) as video:
        assert len(list(video.decode(video=0))) == 12
    scan = pydicom.dcmread(folder / "moving" / "scan.dcm")
    assert scan.pixel_array.shape == media.SIZE[::-1]


def test_the_broken_ones_are_broken(folder):
    stills = [p for p in media.undecodable(folder / "bad") if p.suffix in STILLS]
    assert len(stills) == 5
    for path in stills:
        with pytest.raises(OSError, match=r"cannot identify|decoder"):
            Image.open(path)


@pytest.mark.timeout(300)  # they may have to be fetched
def test_there_are_thousands_of_real_pictures_in_nested_folders():
    pictures = [path for path in media.openclipart().rglob("*.png") if not path.is_symlink()]
    assert len(pictures) > 6000
    assert len({path.parent for path in pictures}) > 100
    with Image.open(pictures[0]) as picture:
        picture.load()


def test_what_cannot_be_had_is_said_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(media, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert media.main([str(tmp_path / "out")]) == 1
    assert "openclipart-png is fetched with apt-get" in capsys.readouterr().err
    assert media.main([]) == 2
